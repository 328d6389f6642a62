// The divergence between histograms of weights.
#include "quantize/weight_distribution.h"

#include "layers.h"

namespace halftone::testing {
namespace {

TEST(WeightDivergence, IsThatOfTheSmoothedSharesWorkedByHand) {
  // bins of 1/128: 1 falls into the last, -1 into the first, 0 into bin 128
  const at::Tensor original = at::tensor({1.0, -1.0, 0.0, 0.0}),
                   moved = at::tensor({1.0, 0.0, 0.0, 0.0});
  // of 4 + 128: shares 1.5, 1.5, 2.5 against 1.5, 0.5, 3.5, all other bins equal
  const double expected = (1.5 * std::log(1.5 / 0.5) + 2.5 * std::log(2.5 / 3.5)) / 132;
  EXPECT_NEAR(weight_divergence(original, moved), expected, 1e-12);
  EXPECT_EQ(weight_divergence(original, original), 0);
}

TEST(WeightDivergence, WhatLiesBeyondTheOriginalsCountsAtTheEnd) {
  const at::Tensor original = at::tensor({0.5, -0.5, 0.1});
  EXPECT_EQ(weight_divergence(original, at::tensor({9.0, -1e30, 0.1})), 0);
  EXPECT_EQ(weight_divergence(at::zeros({3, 4}), at::zeros({3, 4})), 0);
}

TEST(WeightDivergence, FallsWithEveryBit) {
  const at::Tensor weight = real_layer().weight32();
  double last = INFINITY;
  for (const int bits : {2, 3, 4, 8}) {
    LinearRecipe recipe;
    recipe.objective.kind = ObjectiveKind::kNone;
    recipe.grid = {.bits = bits, .group_size = 64};
    const LinearOutcome outcome = LinearSolver({}, recipe, 1).quantize(weight);
    EXPECT_EQ(outcome.weight_divergence, weight_divergence(weight, dequantize(outcome.quantized)));
    EXPECT_LT(outcome.weight_divergence, last);
    last = outcome.weight_divergence;
  }
}

}  // namespace
}  // namespace halftone::testing
