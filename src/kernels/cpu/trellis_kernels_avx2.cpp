// The trellis' loops on 32-byte registers.
#include "kernels/cpu/trellis_states.h"

namespace halftone::cpu {

TrellisKernels trellis_kernels_avx2() {
  return TrellisStates<32>::kernels();
}

}  // namespace halftone::cpu
