// Which calibration sequences are held out, to choose by them what the others have made. Told by
// their number among all sequences. Both rules stand here, for a recipe's rules need their figures
// (recipe/rules.cpp) as the sums do (calibrate/). Includes nothing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace halftone {

// target.auto (methods.md 3.6): the last tenth, at least one; they are in no other sum.
constexpr int64_t kTargetHoldsOutOneOf = 10;
constexpr int64_t kFewestSequencesOfTarget = 2;

constexpr int64_t held_out_for_target(int64_t sequences) {
  return std::max<int64_t>(1, sequences / kTargetHoldsOutOneOf);
}

// objective.gate (methods.md 2.6): every fifth, the fifth first; the matrix of all of them, of
// which theirs is a part, is what goes on.
constexpr int64_t kGateHoldsOutOneOf = 5;
constexpr int64_t kFewestSequencesOfGate = kGateHoldsOutOneOf;

constexpr bool is_held_out_for_gate(int64_t sequence) {
  return sequence % kGateHoldsOutOneOf == kGateHoldsOutOneOf - 1;
}

}  // namespace halftone
