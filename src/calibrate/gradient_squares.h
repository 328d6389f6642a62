// Sums of squares of gradients and inputs, in one pass over them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace halftone {

// The squared length of each token's vector.   x: (batch, length, width) -> (batch, length) float32
at::Tensor squared_lengths(const at::Tensor& x);

struct GradientSquares {
  at::Tensor tokens;   // (groups, batch, length) float32: the mean over each run of outputs
  at::Tensor outputs;  // (out) float64: the sum over tokens, each times its weight
};

// delta: (batch, length, out), at a linear's output; weights: (batch, length) float32.
// runs: where each run of outputs begins, 0 first, and `out` behind the last.
GradientSquares gradient_squares(const at::Tensor& delta, const at::Tensor& weights,
                                 const std::vector<int64_t>& runs);

}  // namespace halftone
