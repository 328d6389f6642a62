// Chooses among the compilations of the row kernels on x86.
#include "kernels/cpu/compiled_rows.h"

namespace halftone {

template <class T>
RowKernels<T> row_kernels(InstructionSet set) {
  if (set == InstructionSet::kAvx512) return cpu::row_kernels_avx512(T{});
  if (set == InstructionSet::kAvx2) return cpu::row_kernels_avx2(T{});
  return cpu::row_kernels_portable(T{});
}
template RowKernels<float> row_kernels(InstructionSet);
template RowKernels<BFloat16Bits> row_kernels(InstructionSet);

}  // namespace halftone
