// The row kernels where only the portable compilation exists.
#include "kernels/cpu/compiled_rows.h"

namespace halftone {

template <class T>
RowKernels<T> row_kernels(InstructionSet) {
  return cpu::row_kernels_portable(T{});
}
template RowKernels<float> row_kernels(InstructionSet);
template RowKernels<BFloat16Bits> row_kernels(InstructionSet);

}  // namespace halftone
