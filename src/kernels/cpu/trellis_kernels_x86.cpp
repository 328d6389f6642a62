// Chooses among the compilations of the trellis' loops on x86.
#include "kernels/cpu/trellis_states.h"

namespace halftone {

TrellisKernels trellis_kernels(InstructionSet set) {
  if (set == InstructionSet::kAvx512) return cpu::trellis_kernels_avx512();
  if (set == InstructionSet::kAvx2) return cpu::trellis_kernels_avx2();
  return cpu::trellis_kernels_portable();
}

}  // namespace halftone
