// Sums of products over tokens, the arithmetic of every statistic.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// sum += a^T b, as matrix/two_part_matrix.h multiplies: bfloat16 exactly, float32 to 2^-15 of the
// terms where the processor is made for that.
// sum: (m, n) float32, contiguous rows; a: (tokens, m), b: (tokens, n), float32 or bfloat16,
// contiguous rows, on the device of `sum`
void add_transposed_product(at::Tensor sum, const at::Tensor& a, const at::Tensor& b);

}  // namespace halftone
