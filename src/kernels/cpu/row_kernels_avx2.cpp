// The row kernels on 32-byte registers.
#include "kernels/cpu/compiled_rows.h"

namespace halftone::cpu {

RowKernels<float> row_kernels_avx2(float) {
  return row_kernels_of<float, 32>();
}
RowKernels<BFloat16Bits> row_kernels_avx2(BFloat16Bits) {
  return row_kernels_of<BFloat16Bits, 32>();
}

}  // namespace halftone::cpu
