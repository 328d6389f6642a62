#include "evaluate/confidence.h"

#include <gtest/gtest.h>

#include <limits>

namespace halftone {
namespace {

TEST(Confidence, PositionsFallIntoBucketsByTheReferencesGreatestProbability) {
  Scores scores;
  scores.windows = 1;
  scores.positions = 7;
  scores.confidence = {0.1, 0.49, 0.5, 0.95, 0.99, 1, 0.9};
  scores.kl = {1, 3, 0.5, 0.25, 0.125, 0.375, 0.75};
  scores.same_top = {0, 1, 1, 1, 1, 0, 0};
  const auto buckets = by_confidence(scores);
  ASSERT_EQ(buckets.size(), 4u);
  const std::vector<int64_t> positions = {2, 1, 2, 2};
  const std::vector<double> kl = {2, 0.5, 0.5, 0.25}, top1 = {0.5, 1, 0.5, 0.5};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(buckets[i].positions, positions[i]) << i;
    EXPECT_DOUBLE_EQ(buckets[i].kl, kl[i]) << i;
    EXPECT_DOUBLE_EQ(buckets[i].top1, top1[i]) << i;
    EXPECT_EQ(buckets[i].to, i == 3 ? 1 : buckets[i + 1].from);
  }
}

TEST(Confidence, NoNumberIsNoConfidence) {
  Scores scores;
  scores.confidence = {std::numeric_limits<double>::quiet_NaN()};
  scores.kl = {2};
  scores.same_top = {0};
  const auto buckets = by_confidence(scores);
  EXPECT_EQ(buckets.front().positions, 1);
  EXPECT_EQ(buckets.back().positions, 0);
}

}  // namespace
}  // namespace halftone
