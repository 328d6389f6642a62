// The hot loops on 32-byte registers.
#include "kernels/cpu/uniform_lanes.h"

namespace halftone::cpu {

LaneKernels<float> lane_kernels_avx2(float) {
  return lane_kernels_of<float, 32>();
}
LaneKernels<double> lane_kernels_avx2(double) {
  return lane_kernels_of<double, 32>();
}

}  // namespace halftone::cpu
