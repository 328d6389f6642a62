#include "calibrate/sequences.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;

// Finite but for one sequence of a batch.
at::Tensor all_but(int64_t bad, int64_t batch) {
  at::Tensor finite = at::ones({batch}, at::kBool);
  finite[bad] = false;
  return finite;
}

TEST(Sequences, BatchesHoldEverySequenceOnceInOrder) {
  const Sequences sequences(at::zeros({7, 100}, at::kInt), 250);
  int64_t next = 0;
  for (const Batch& batch : sequences.batches()) {
    EXPECT_EQ(batch.first, next);
    EXPECT_EQ(batch.count, next < 6 ? 2 : 1);
    next += batch.count;
  }
  EXPECT_EQ(next, 7);
  EXPECT_EQ(Sequences(at::zeros({7, 100}, at::kInt), 50).batches().size(), 7u);  // one at least
}

TEST(Sequences, TheLastOnesAreHeldOut) {
  Sequences sequences(at::zeros({7, 4}, at::kInt), 12);
  EXPECT_EQ(sequences.not_held_out({3, 3}), 3);
  sequences.hold_out(3);
  EXPECT_EQ(sequences.not_held_out({0, 3}), 3);
  EXPECT_EQ(sequences.not_held_out({3, 3}), 1);
  EXPECT_EQ(sequences.not_held_out({6, 1}), 0);
}

TEST(Sequences, WhatIsLeftOutForTwoReasonsCountsOnceAndTwoSequencesCountTwice) {
  Sequences sequences(at::zeros({300, 2}, at::kInt));
  sequences.leave_out({}, 0, LeftOutFor::kInputs);
  EXPECT_EQ(sequences.left_out(), 0);
  sequences.leave_out(all_but(1, 4), 8, LeftOutFor::kGradients);
  sequences.leave_out(all_but(0, 4), 9, LeftOutFor::kInputs);  // the same one
  EXPECT_EQ(sequences.left_out(), 1);
  sequences.leave_out(all_but(0, 1), 299, LeftOutFor::kInputs);
  EXPECT_EQ(sequences.left_out(), 2);
  EXPECT_NO_THROW(sequences.require_few_left_out("block 0"));
}

TEST(Sequences, MoreThanOnePercentIsAnErrorThatSaysWhatWasNotFinite) {
  Sequences sequences(at::zeros({200, 2}, at::kInt));
  const auto leave_out = [&](int64_t sequence, LeftOutFor reason) {
    sequences.leave_out(all_but(0, 1), sequence, reason);
  };
  const auto message = [&] {
    return message_of([&] { sequences.require_few_left_out("block 3"); });
  };
  leave_out(0, LeftOutFor::kInputs);
  leave_out(1, LeftOutFor::kInputs);
  EXPECT_NO_THROW(sequences.require_few_left_out("block 3"));  // 1 %
  leave_out(2, LeftOutFor::kInputs);
  EXPECT_NE(message().find("block 3: the inputs of 3 of 200 calibration sequences"),
            std::string::npos)
      << message();
  EXPECT_EQ(message().find("end loss"), std::string::npos) << message();
  leave_out(2, LeftOutFor::kGradients);
  leave_out(7, LeftOutFor::kGradients);
  EXPECT_NE(message().find("the inputs of 3 and the gradients of 1 more of 200"), std::string::npos)
      << message();
  EXPECT_NE(message().find("objective.kind = input"), std::string::npos) << message();
}

}  // namespace
}  // namespace halftone
