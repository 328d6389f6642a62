// The row kernels on 64-byte registers.
#include "kernels/cpu/compiled_rows.h"

namespace halftone::cpu {

RowKernels<float> row_kernels_avx512(float) {
  return row_kernels_of<float, 64>();
}
RowKernels<BFloat16Bits> row_kernels_avx512(BFloat16Bits) {
  return row_kernels_of<BFloat16Bits, 64>();
}

}  // namespace halftone::cpu
