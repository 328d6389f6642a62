// The trellis' loops on 16-byte registers.
#include "kernels/cpu/trellis_states.h"

namespace halftone::cpu {

TrellisKernels trellis_kernels_portable() {
  return TrellisStates<16>::kernels();
}

}  // namespace halftone::cpu
