// A linear when its solve is done, and what it stands for: made once, handed to everyone who writes
// it, runs it or reports on it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "quantize/quantized_linear.h"

namespace halftone {

struct FinishedLinear {
  std::string name;           // "model.layers.0.self_attn.q_proj"
  QuantizedLinear quantized;  // checked (format/linear_check.h)
  at::Tensor weights;         // (out, in) float32, de-quantized; nobody writes to it
  std::string fingerprint;    // of the weights (format/verify.h): what files have to give back
};

// Errors: numbers that are no grid (check_linear), behind the name.
FinishedLinear finish_linear(std::string name, QuantizedLinear quantized);

}  // namespace halftone
