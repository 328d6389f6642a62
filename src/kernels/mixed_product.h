// The library's product of bfloat16 matrices: products are exact in float32, sums are float32, at
// several times the float32 rate on AMX and AVX512-BF16.
#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

namespace halftone {

// Whether the library has it and this processor is fast at it.
bool has_mixed_product();

// c += a b, threaded as the library is; only where has_mixed_product(). Rows lie a stride apart, in
// numbers, below 2^31 as all sizes are.   a: (m, k); b: (k, n); c: (m, n)
void add_mixed_product(int64_t m, int64_t n, int64_t k, const BFloat16Bits* a, int64_t a_stride,
                       const BFloat16Bits* b, int64_t b_stride, float* c, int64_t c_stride);

// c += a^T b.   a: (k, m), the rest as above
void add_transposed_mixed_product(int64_t m, int64_t n, int64_t k, const BFloat16Bits* a,
                                  int64_t a_stride, const BFloat16Bits* b, int64_t b_stride,
                                  float* c, int64_t c_stride);

}  // namespace halftone
