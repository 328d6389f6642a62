// The hot loops on 64-byte registers.
#include "kernels/cpu/uniform_lanes.h"

namespace halftone::cpu {

LaneKernels<float> lane_kernels_avx512(float) {
  return lane_kernels_of<float, 64>();
}
LaneKernels<double> lane_kernels_avx512(double) {
  return lane_kernels_of<double, 64>();
}

}  // namespace halftone::cpu
