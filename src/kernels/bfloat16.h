// The bfloat16 type of kernels, and whether the processor is made for it.
#pragma once

#include <cstdint>

namespace halftone {

// The bits of a bfloat16.
struct BFloat16Bits {
  uint16_t bits;
};

// Whether this processor multiplies bfloat16 natively (AVX512-BF16 or AMX), so that the library's
// GEMM gains from it.
bool cpu_multiplies_bfloat16();

}  // namespace halftone
