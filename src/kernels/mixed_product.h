// The library's product of bfloat16 matrices: products are exact in float32, sums are float32, at
// several times the float32 rate on AMX, and below it on some processors (kernels/products.h says
// where it is used).
#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"

namespace halftone {

// Whether the library has it, fast or not.
bool has_mixed_product();

// Rows lie `stride` numbers apart. `transposed`: the matrix meant is the transpose of the one that
// lies there.
struct MixedOperand {
  const BFloat16Bits* numbers;
  int64_t stride;
  bool transposed = false;
};

// c += a b, threaded as the library is; only where has_mixed_product(). Sizes and strides
// are below 2^31, as all sizes are.   a: (m, k); b: (k, n); c: (m, n), rows c_stride apart
void add_mixed_product(int64_t m, int64_t n, int64_t k, const MixedOperand& a,
                       const MixedOperand& b, float* c, int64_t c_stride);

}  // namespace halftone
