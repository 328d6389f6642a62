#include "evaluate/context_free.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "evaluate/demo_models.h"

namespace halftone {
namespace {

using ::halftone::testing::open_demo;

TEST(ContextFree, EqualsTheMeanDivergenceFromTheMeanPrediction) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  const Model model = open_demo();
  const at::Tensor hidden = at::randn({37, model.config().hidden});
  const at::Tensor p = model.logits(model.load_head(execution), hidden).to(at::kDouble).softmax(-1);
  const at::Tensor mean = p.mean(0);
  double sum = 0;
  for (int64_t i = 0; i < 37; ++i) sum += (p[i] * (p[i] / mean).log()).sum().item<double>();
  EXPECT_NEAR(context_free_divergence(model, execution, hidden), sum / 37, 1e-5);
}

TEST(ContextFree, IsNothingWhereThePredictionIsAlwaysTheSame) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  const Model model = open_demo();
  const at::Tensor hidden = at::randn({1, model.config().hidden}).repeat({5, 1});
  EXPECT_NEAR(context_free_divergence(model, execution, hidden), 0, 1e-6);
}

}  // namespace
}  // namespace halftone
