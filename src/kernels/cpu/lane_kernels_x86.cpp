// Chooses among the compilations of the hot loops on x86.
#include <cpuid.h>

#include "kernels/cpu/uniform_lanes.h"

namespace halftone {
namespace {

// By hand: clang 16 has no word for it.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

std::vector<InstructionSet> available_instruction_sets() {
  std::vector<InstructionSet> sets{InstructionSet::kPortable};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
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
