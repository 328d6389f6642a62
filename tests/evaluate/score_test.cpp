#include "evaluate/score.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "evaluate/demo_models.h"
#include "evaluate/statistics.h"

namespace halftone {
namespace {

using ::halftone::testing::golden_windows;
using ::halftone::testing::open_demo;
using ::halftone::testing::open_softened_demo;
using ::halftone::testing::test_data;

constexpr double kNllTolerance = 1e-4;  // float32 forward against transformers, nats a token

TEST(Score, NllEqualsTransformers) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Scores scores = score_windows(open_demo(), nullptr, golden_windows(), execution, progress);
  const SafetensorsFile golden(test_data("forward/stories260K_forward.safetensors"));
  ASSERT_EQ(scores.nll.size(), 2u * 255);
  for (int64_t w = 0; w < 2; ++w) {
    const at::Tensor expected = golden.view(*golden.find(fmt::format("nll_{}", w)));
    for (int64_t i = 0; i < 255; ++i)
      ASSERT_NEAR(scores.nll[static_cast<size_t>(w * 255 + i)], expected[i].item<double>(),
                  kNllTolerance);
  }
}

TEST(Score, AModelAgreesWithItself) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model model = open_demo();
  Scores scores = score_windows(model, &model, golden_windows(), execution, progress);
  EXPECT_EQ(percentile(scores.kl, 1), 0);
  EXPECT_EQ(std::accumulate(scores.same_top.begin(), scores.same_top.end(), 0), 2 * 255);
  EXPECT_EQ(scores.nll, scores.reference_nll);
}

TEST(Score, DivergenceEqualsItsDefinition) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model reference = open_demo(), changed = open_softened_demo();
  const TokenWindows windows = golden_windows();
  const Scores scores = score_windows(changed, &reference, windows, execution, progress);
  // scaling the final norm scales the logits: the definition, from the golden logits, in float64
  const SafetensorsFile golden(test_data("forward/stories260K_forward.safetensors"));
  const at::Tensor logits = golden.view(*golden.find("logits_0")).to(at::kDouble).narrow(0, 0, 255);
  const at::Tensor log_p = at::log_softmax(logits, -1), log_q = at::log_softmax(logits * 0.9, -1);
  const at::Tensor kl = (log_p.exp() * (log_p - log_q)).sum(-1);
  for (int64_t i = 0; i < 255; ++i)
    ASSERT_NEAR(scores.kl[static_cast<size_t>(i)], kl[i].item<double>(), kNllTolerance);
  EXPECT_EQ(std::accumulate(scores.same_top.begin(), scores.same_top.end(), 0), 2 * 255);
}

TEST(Score, AReferenceThatIsKeptIsRunOnceAndGivesTheSameScores) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model reference = open_demo(), changed = open_softened_demo();
  const TokenWindows windows = golden_windows();
  const Scores apart = score_windows(changed, &reference, windows, execution, progress);
  ReferenceStates kept;
  score_windows(reference, nullptr, windows, execution, progress, {&kept});
  ASSERT_TRUE(kept.hidden.defined());
  const Scores together = score_windows(changed, &reference, windows, execution, progress, {&kept});
  EXPECT_EQ(together.kl, apart.kl);
  EXPECT_EQ(together.reference_nll, apart.reference_nll);
  EXPECT_EQ(together.nll, apart.nll);
  // what was kept is what is used
  kept.hidden = kept.hidden * 2;
  const Scores other = score_windows(changed, &reference, windows, execution, progress, {&kept});
  EXPECT_NE(other.reference_nll, apart.reference_nll);
}

TEST(Score, ScoresOfSomeWindowsAreThoseOfTheWindowsAlone) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model model = open_softened_demo(), reference = open_demo();
  const TokenWindows both = golden_windows();
  const TokenWindows second{1, 256, {both.ids.begin() + 256, both.ids.end()}};
  const Scores all = score_windows(model, &reference, both, execution, progress);
  const Scores part = scores_of_windows(all, 1, 1);
  const Scores alone = score_windows(model, &reference, second, execution, progress);
  EXPECT_EQ(part.windows, 1);
  ASSERT_EQ(part.kl.size(), alone.kl.size());
  for (size_t i = 0; i < part.kl.size(); ++i) {
    EXPECT_NEAR(part.kl[i], alone.kl[i], 1e-6);
    EXPECT_NEAR(part.reverse_kl[i], alone.reverse_kl[i], 1e-6);
    EXPECT_NEAR(part.confidence[i], alone.confidence[i], 1e-6);
    EXPECT_NEAR(part.nll[i], alone.nll[i], kNllTolerance);
  }
  Scores without = all;
  without.kl.clear();
  EXPECT_TRUE(scores_of_windows(without, 1, 1).kl.empty());
}

TEST(Score, ArithmeticDivergesByAsMuchAsTheRunsInBothTypesDo) {
  const Execution fine{at::kCPU, at::kFloat, 1}, coarse{at::kCPU, at::kBFloat16, 1};
  SilentProgress progress;
  const Model model = open_demo();
  const TokenWindows windows = golden_windows();
  const Scores scores = score_arithmetic(model, windows, coarse, fine, progress);
  ASSERT_EQ(scores.kl.size(), 2u * 255);
  const double floor = mean_over_windows(scores.kl, 2).value;
  EXPECT_GT(floor, 1e-6);
  EXPECT_LT(floor, 0.01);
  EXPECT_EQ(mean_over_windows(score_arithmetic(model, windows, fine, fine, progress).kl, 2).value,
            0);
  const Scores rounded = score_windows(model, nullptr, windows, coarse, progress),
               exact = score_windows(model, nullptr, windows, fine, progress);
  for (size_t i = 0; i < scores.nll.size(); ++i) {
    EXPECT_NEAR(scores.nll[i], rounded.nll[i], 0.02);
    EXPECT_NEAR(scores.reference_nll[i], exact.nll[i], kNllTolerance);
  }
}

}  // namespace
}  // namespace halftone
