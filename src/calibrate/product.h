// Sums of products over tokens, the arithmetic of every statistic.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// sum += a^T b: the product of two bfloat16 numbers is exact in float32, sums are float32.
// sum: (m, n) float32, contiguous rows; a: (tokens, m), b: (tokens, n), both float32 or both
// bfloat16, contiguous rows, on the device of `sum`.
//
// bfloat16 goes to the library's mixed product where there is one (several times the float32 rate
// on AMX and AVX512-BF16, and no widened copy), else is widened first.
void add_product(at::Tensor sum, const at::Tensor& a, const at::Tensor& b);

}  // namespace halftone
