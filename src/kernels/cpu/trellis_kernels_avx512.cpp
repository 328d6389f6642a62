// The trellis' loops on 64-byte registers.
#include "kernels/cpu/trellis_states.h"

namespace halftone::cpu {

TrellisKernels trellis_kernels_avx512() {
  return TrellisStates<64>::kernels();
}

}  // namespace halftone::cpu
