// Which compilation of a hot loop runs: the best that this processor has, or one that a test asks
// for.
#pragma once

#include <string>
#include <vector>

namespace halftone {

enum class InstructionSet { kPortable, kAvx2, kAvx512 };

// What this build and this processor both have, slowest first; always starts with kPortable.
std::vector<InstructionSet> available_instruction_sets();

inline InstructionSet best_instruction_set() {
  return available_instruction_sets().back();
}

// "portable", "avx2", "avx512".
std::string name_of(InstructionSet set);

// The name of the best one.
std::string instruction_set();

}  // namespace halftone
