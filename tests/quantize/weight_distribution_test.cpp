// The divergence between histograms of weights.
#include "quantize/weight_distribution.h"

#include "layers.h"

namespace halftone::testing {
namespace {

// Rows of weights that a file would stand for: all codes 0, every weight an outlier.
QuantizedLinear exactly(const at::Tensor& weights) {
  const int64_t out = weights.size(0), in = weights.size(1);
  QuantizedLinear linear;
  linear.bits = 4;
  linear.group_size = in;
  linear.codes = at::zeros({out, in}, at::kByte);
  linear.scales = at::ones({out, 1});
  linear.zeros = at::zeros({out, 1}, at::kByte);
  linear.outliers = Outliers{at::arange(out + 1, at::kLong) * in,
                             at::arange(in, at::kInt).repeat({out}), weights.flatten()};
  return linear;
}

TEST(WeightDivergence, IsThatOfTheSmoothedSharesWorkedByHand) {
  // bins of 1/128: 1 falls into the last, -1 into the first, 0 into bin 128
  const at::Tensor original = at::tensor({1.0F, -1.0F, 0.0F, 0.0F}).view({2, 2}),
                   moved = at::tensor({1.0F, 0.0F, 0.0F, 0.0F}).view({2, 2});
  // of 4 + 128: shares 1.5, 1.5, 2.5 against 1.5, 0.5, 3.5, all other bins equal
  const double expected = (1.5 * std::log(1.5 / 0.5) + 2.5 * std::log(2.5 / 3.5)) / 132;
  EXPECT_NEAR(weight_divergence(original, exactly(moved)), expected, 1e-12);
  EXPECT_EQ(weight_divergence(original, exactly(original)), 0);
}

TEST(WeightDivergence, WhatLiesBeyondTheOriginalsCountsAtTheEnd) {
  const at::Tensor original = at::tensor({0.5F, -0.5F, 0.1F}).view({1, 3}),
                   beyond = at::tensor({9.0F, -1e30F, 0.1F}).view({1, 3});
  EXPECT_EQ(weight_divergence(original, exactly(beyond)), 0);
  EXPECT_EQ(weight_divergence(at::zeros({3, 4}), exactly(at::zeros({3, 4}))), 0);
}

// More rows than are looked at in one go, by several threads.
TEST(WeightDivergence, DoesNotDependOnHowRowsAreSplit) {
  const at::Tensor wide = at::randn({300, 1000});
  const at::Tensor moved = wide + 0.01 * at::randn_like(wide);
  const at::Tensor one_row = wide.view({1, -1});
  EXPECT_EQ(weight_divergence(wide, exactly(moved)),
            weight_divergence(one_row, exactly(moved.view({1, -1}))));
}

TEST(WeightDivergence, FallsWithEveryBit) {
  const at::Tensor weight = real_layer().weight32();
  double last = INFINITY;
  for (const int bits : {2, 3, 4, 8}) {
    LinearRecipe recipe;
    recipe.objective.kind = ObjectiveKind::kNone;
    recipe.grid = {.bits = bits, .group_size = 64};
    const LinearOutcome outcome = LinearSolver({}, recipe, 1).quantize(weight);
    EXPECT_EQ(outcome.weight_divergence, weight_divergence(weight, outcome.quantized));
    EXPECT_LT(outcome.weight_divergence, last);
    last = outcome.weight_divergence;
  }
}

}  // namespace
}  // namespace halftone::testing
