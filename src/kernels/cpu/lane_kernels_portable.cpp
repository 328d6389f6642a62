// The hot loops on 16-byte registers: SSE2, NEON, or whatever the compiler makes of them.
#include "kernels/cpu/uniform_lanes.h"

namespace halftone::cpu {

LaneKernels<float> lane_kernels_portable(float) {
  return lane_kernels_of<float, 16>();
}
LaneKernels<double> lane_kernels_portable(double) {
  return lane_kernels_of<double, 16>();
}

}  // namespace halftone::cpu
