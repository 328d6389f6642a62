// Chooses among the compilations of the hot loops on x86.
#include "kernels/cpu/uniform_lanes.h"

namespace halftone {

std::vector<InstructionSet> available_instruction_sets() {
  std::vector<InstructionSet> sets{InstructionSet::kPortable};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c"))
    sets.push_back(InstructionSet::kAvx2);
  if (sets.size() == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    sets.push_back(InstructionSet::kAvx512);
  return sets;
}

template <class T>
LaneKernels<T> lane_kernels(InstructionSet set) {
  if (set == InstructionSet::kAvx512) return cpu::lane_kernels_avx512(T{});
  if (set == InstructionSet::kAvx2) return cpu::lane_kernels_avx2(T{});
  return cpu::lane_kernels_portable(T{});
}
template LaneKernels<float> lane_kernels(InstructionSet);
template LaneKernels<double> lane_kernels(InstructionSet);

}  // namespace halftone
