#include "format/finished_linear.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "format/linear_check.h"
#include "format/verify.h"

namespace halftone {

FinishedLinear finish_linear(std::string name, QuantizedLinear quantized) {
  with_context(name, [&] { check_linear(quantized); });
  const at::Tensor weights = dequantize(quantized);
  return {std::move(name), std::move(quantized), weights, weight_fingerprint(weights)};
}

}  // namespace halftone
