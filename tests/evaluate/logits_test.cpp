#include "evaluate/logits.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace halftone {
namespace {

// float64 logits take the tensor operations, float32 and bfloat16 the row kernels.
TEST(ScoreLogits, KernelsAndTensorOperationsAgree) {
  at::manual_seed(5);
  const at::Tensor targets = at::randint(0, 1003, {17}, at::kLong);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor p = (4 * at::randn({17, 1003})).to(dtype);
    const at::Tensor q = (p.to(at::kFloat) + 0.3 * at::randn({17, 1003})).to(dtype);
    Scores fast, slow;
    score_logits(q, targets, p, fast);
    score_logits(q.to(at::kDouble), targets, p.to(at::kDouble), slow);
    ASSERT_EQ(fast.nll.size(), 17u);
    EXPECT_EQ(fast.same_top, slow.same_top);
    for (size_t i = 0; i < 17; ++i) {
      EXPECT_NEAR(fast.nll[i], slow.nll[i], 1e-5) << i;
      EXPECT_NEAR(fast.reference_nll[i], slow.reference_nll[i], 1e-5) << i;
      EXPECT_NEAR(fast.kl[i], slow.kl[i], 1e-5) << i;
    }
  }
}

TEST(ScoreLogits, WithoutAReferenceOnlyTheLikelihoodIsKept) {
  Scores scores;
  score_logits(at::zeros({3, 8}), at::zeros({3}, at::kLong), {}, scores);
  EXPECT_EQ(scores.nll.size(), 3u);
  EXPECT_NEAR(scores.nll[0], std::log(8.0), 1e-6);
  EXPECT_TRUE(scores.kl.empty() && scores.same_top.empty() && scores.reference_nll.empty());
}

}  // namespace
}  // namespace halftone
