#include "kernels/instruction_set.h"

namespace halftone {

std::string name_of(InstructionSet set) {
  switch (set) {
    case InstructionSet::kAvx512:
      return "avx512";
    case InstructionSet::kAvx2:
      return "avx2";
    default:
      return "portable";
  }
}

std::string instruction_set() {
  return name_of(best_instruction_set());
}

}  // namespace halftone
