#include "kernels/bfloat16.h"

namespace halftone {

bool cpu_multiplies_bfloat16() {
  return __builtin_cpu_supports("avx512bf16");
}

}  // namespace halftone
