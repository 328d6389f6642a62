// What a linear on the binary grid stands for (BinaryPlanes of quantize/quantized_linear.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/quantized_linear.h"

namespace halftone {

// The eight values of a row and group, for the sweep and for reading files back, so that both mean
// the same float32. Level code: bulk -, bulk +, tail -, tail +; level 4 + code: - -, - +, + -, + +
// of a salient column. One float32 addition a sign, one more to join two.
// means, scales: (..., 4, rows) float32 -> (..., 8, rows) float32
at::Tensor binary_levels(const at::Tensor& means, const at::Tensor& scales);

// What the codes of rows [begin, begin + count) say, dead columns included; linear.binary must be
// there.  -> (count, in) float32
at::Tensor binary_weights(const QuantizedLinear& linear, int64_t begin, int64_t count);

// The paper's count (methods.md 10): a sign a weight, two in salient columns, nothing else.
double binary_bits_per_weight(const QuantizedLinear& linear);

}  // namespace halftone
