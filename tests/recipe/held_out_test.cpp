#include "recipe/held_out.h"

#include <gtest/gtest.h>

namespace halftone {
namespace {

TEST(HeldOut, TheTargetIsChosenByATenthOfTheSequencesAndAtLeastOne) {
  EXPECT_EQ(held_out_for_target(kFewestSequencesOfTarget), 1);
  EXPECT_EQ(held_out_for_target(19), 1);
  EXPECT_EQ(held_out_for_target(128), 12);
}

TEST(HeldOut, TheGateIsJudgedByEveryFifthSequence) {
  for (int64_t sequence = 0; sequence < 20; ++sequence)
    EXPECT_EQ(is_held_out_for_gate(sequence),
              sequence == 4 || sequence == 9 || sequence == 14 || sequence == 19);
  EXPECT_TRUE(is_held_out_for_gate(kFewestSequencesOfGate - 1));
}

}  // namespace
}  // namespace halftone
