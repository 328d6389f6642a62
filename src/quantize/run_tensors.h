// Tensors of runs of rows, one below the other.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "quantize/quantized_linear.h"

namespace halftone {

// tensor_of(run): (rows of the run, ...) -> (rows of all, ...)
template <class TensorOf>
at::Tensor below_each_other(const std::vector<QuantizedLinear>& runs, TensorOf&& tensor_of) {
  std::vector<at::Tensor> parts;
  for (const QuantizedLinear& run : runs) parts.push_back(tensor_of(run));
  return at::cat(parts);
}

}  // namespace halftone
