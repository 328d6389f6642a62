// The hot loops where only the portable compilation exists.
#include "kernels/cpu/uniform_lanes.h"

namespace halftone {

std::vector<InstructionSet> available_instruction_sets() {
  return {InstructionSet::kPortable};
}

template <class T>
LaneKernels<T> lane_kernels(InstructionSet) {
  return cpu::lane_kernels_portable(T{});
}
template LaneKernels<float> lane_kernels(InstructionSet);
template LaneKernels<double> lane_kernels(InstructionSet);

}  // namespace halftone
