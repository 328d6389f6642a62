#include "evaluate/logits.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace halftone {
namespace {

constexpr double kTolerance = 1e-6;  // nats; sums over a row are float64
constexpr int64_t kVocab = 49152;    // a float32 sum over as many loses 1e-5: small terms vanish

// float64 logits take the tensor operations, float32 and bfloat16 the row kernels.
TEST(ScoreLogits, KernelsAndTensorOperationsAgree) {
  at::manual_seed(5);
  const at::Tensor targets = at::randint(0, kVocab, {17}, at::kLong);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor p = (4 * at::randn({17, kVocab})).to(dtype);
    const at::Tensor q = (p.to(at::kFloat) + 0.3 * at::randn({17, kVocab})).to(dtype);
    Scores fast, slow;
    score_logits(q, targets, p, fast);
    score_logits(q.to(at::kDouble), targets, p.to(at::kDouble), slow);
    ASSERT_EQ(fast.nll.size(), 17u);
    EXPECT_EQ(fast.same_top, slow.same_top);
    for (size_t i = 0; i < 17; ++i) {
      EXPECT_NEAR(fast.nll[i], slow.nll[i], kTolerance) << i;
      EXPECT_NEAR(fast.reference_nll[i], slow.reference_nll[i], kTolerance) << i;
      EXPECT_NEAR(fast.kl[i], slow.kl[i], kTolerance) << i;
      EXPECT_NEAR(fast.reverse_kl[i], slow.reverse_kl[i], kTolerance) << i;
      EXPECT_NEAR(fast.confidence[i], slow.confidence[i], kTolerance) << i;
    }
  }
}

TEST(ScoreLogits, DivergesBothWaysByHand) {
  // p = (3/4, 1/4), q = (1/2, 1/2)
  const at::Tensor p = at::tensor({0.75F, 0.25F}).log().unsqueeze(0), q = at::zeros({1, 2});
  Scores scores;
  score_logits(q, at::zeros({1}, at::kLong), p, scores);
  EXPECT_NEAR(scores.kl[0], 0.75 * std::log(1.5) + 0.25 * std::log(0.5), kTolerance);
  EXPECT_NEAR(scores.reverse_kl[0], 0.5 * std::log(2.0 / 3) + 0.5 * std::log(2.0), kTolerance);
  EXPECT_NEAR(scores.confidence[0], 0.75, kTolerance);
}

TEST(ScoreLogits, WithoutAReferenceOnlyTheLikelihoodIsKept) {
  Scores scores;
  score_logits(at::zeros({3, 8}), at::zeros({3}, at::kLong), {}, scores);
  EXPECT_EQ(scores.nll.size(), 3u);
  EXPECT_NEAR(scores.nll[0], std::log(8.0), kTolerance);
  EXPECT_TRUE(scores.kl.empty() && scores.same_top.empty() && scores.reference_nll.empty());
}

}  // namespace
}  // namespace halftone
