// The row kernels on 16-byte registers: SSE2, NEON, or whatever the compiler makes of them.
#include "kernels/cpu/compiled_rows.h"

namespace halftone::cpu {

RowKernels<float> row_kernels_portable(float) {
  return row_kernels_of<float, 16>();
}
RowKernels<BFloat16Bits> row_kernels_portable(BFloat16Bits) {
  return row_kernels_of<BFloat16Bits, 16>();
}

}  // namespace halftone::cpu
