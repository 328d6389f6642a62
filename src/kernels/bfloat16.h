// Whether this processor multiplies bfloat16 natively (AVX512-BF16 or AMX), so that the library's
// GEMM gains from it.
#pragma once

namespace halftone {

bool cpu_multiplies_bfloat16();

}  // namespace halftone
