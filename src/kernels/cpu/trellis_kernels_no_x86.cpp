// The trellis' loops where only the portable compilation exists.
#include "kernels/cpu/trellis_states.h"

namespace halftone {

TrellisKernels trellis_kernels(InstructionSet) {
  return cpu::trellis_kernels_portable();
}

}  // namespace halftone
