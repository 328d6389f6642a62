// What the report says of compensation: the loss over that of rounding to nearest; and what damping
// is a share of.
#include "layers.h"

namespace halftone::testing {
namespace {

constexpr double kFloat64 = 1e-9;  // relative, sums in another order

LinearRecipe recipe_of(bool static_groups, OrderKind order = OrderKind::kNatural) {
  LinearRecipe recipe;
  recipe.grid = {.bits = 3, .group_size = 32, .clip_search = true};
  recipe.order = {order, static_groups};
  return recipe;
}

double loss_of(const Layer& layer, const at::Tensor& values) {
  const at::Tensor e = layer.weight - values.to(at::kDouble);
  return (e.mm(layer.hessian) * e).sum().item<double>();
}

at::Tensor nearest(const at::Tensor& weight, LinearRecipe recipe) {
  recipe.objective.kind = ObjectiveKind::kNone;
  recipe.order.kind = OrderKind::kNatural;
  return dequantize(LinearSolver({}, recipe, 1).quantize(weight).quantized);
}

// 32 rows are their own sample.
TEST(LossRatio, IsTheLossOverThatOfEachWeightsNearestValue) {
  const Layer layer = random_layer(32, 96);
  for (const bool static_groups : {false, true}) {
    const LinearRecipe recipe = recipe_of(static_groups);
    const LinearOutcome outcome = quantize(layer, recipe);
    const double expected = loss_of(layer, dequantize(outcome.quantized)) /
                            loss_of(layer, nearest(layer.weight, recipe));
    EXPECT_NEAR(outcome.loss_ratio_to_rtn / expected, 1, kFloat64);
    EXPECT_LT(expected, 0.9);
  }
}

TEST(LossRatio, RoundsInTheGroupsOfTheSweep) {
  const Layer layer = random_layer(32, 96);
  const LinearRecipe recipe = recipe_of(false, OrderKind::kActivation);
  const LinearOutcome outcome = quantize(layer, recipe);
  const at::Tensor order = layer.hessian.diagonal().argsort(0, /*descending=*/true);
  const at::Tensor values =
      nearest(layer.weight.index_select(1, order), recipe).index_select(1, order.argsort());
  EXPECT_NEAR(outcome.loss_ratio_to_rtn * loss_of(layer, values) /
                  loss_of(layer, dequantize(outcome.quantized)),
              1, kFloat64);
}

TEST(LossRatio, IsOneWhereThereIsNothingToCompensate) {
  Layer layer = random_layer(24, 96);
  layer.hessian = at::diag(layer.hessian.diagonal());
  EXPECT_EQ(quantize(layer, recipe_of(true)).loss_ratio_to_rtn, 1);
  LinearRecipe recipe = recipe_of(true);
  recipe.outliers = {.kind = OutlierKind::kLasso, .rate = 0.05};
  EXPECT_EQ(quantize(layer, recipe).loss_ratio_to_rtn, 1);  // the same outliers beside both
}

TEST(LossRatio, KeepsTheOutliersOfTheSweepBesideRounding) {
  const at::Tensor x = normal({400, 96}, 3);
  Layer layer{normal({32, 96}, 4) * 0.05, x.t().mm(x)};
  for (int64_t i = 0; i < 10; ++i) layer.weight[3 * i][9 * i] = i % 2 == 0 ? 2.5 : -2.5;
  LinearRecipe recipe = recipe_of(true), rounded = recipe;
  recipe.outliers = {.kind = OutlierKind::kSpqr, .tau = 1};
  const LinearOutcome outcome = quantize(layer, recipe);
  ASSERT_TRUE(mask_of(outcome.quantized).equal(layer.weight.abs() > 1));  // those, and no others
  rounded.outliers = {.kind = OutlierKind::kLasso, .rate = 10.0 / (32 * 96)};
  const double expected = loss_of(layer, dequantize(outcome.quantized)) /
                          loss_of(layer, nearest(layer.weight, rounded));
  EXPECT_NEAR(outcome.loss_ratio_to_rtn / expected, 1, kFloat64);
}

TEST(LossRatio, IsNotTakenWithoutAnObjective) {
  LinearRecipe recipe = recipe_of(true);
  recipe.objective.kind = ObjectiveKind::kNone;
  EXPECT_EQ(LinearSolver({}, recipe, 1).quantize(random_layer(8, 64).weight).loss_ratio_to_rtn, 0);
}

TEST(Damping, OfTheMedianIsALargerShareOfTheMean) {
  Layer layer = random_layer(24, 96);
  const at::Tensor diagonal = layer.hessian.diagonal();
  const at::Tensor sorted = std::get<0>(diagonal.sort());
  const double median = (sorted[47].item<double>() + sorted[48].item<double>()) / 2;
  LinearRecipe of_median = recipe_of(true), of_mean = of_median;
  of_median.objective.damping = 0.5;
  of_median.objective.damping_reference = DampingReference::kMedian;
  of_mean.objective.damping = 0.5 * median / diagonal.mean().item<double>();
  EXPECT_TRUE(
      quantize(layer, of_median).quantized.codes.equal(quantize(layer, of_mean).quantized.codes));
  of_mean.objective.damping = 0.5;
  EXPECT_FALSE(
      quantize(layer, of_median).quantized.codes.equal(quantize(layer, of_mean).quantized.codes));
}

TEST(Damping, OfMeanAndMedianAreOneWhereAllColumnsCountAlike) {
  Layer layer = random_layer(24, 96);
  const at::Tensor root = layer.hessian.diagonal().sqrt();
  layer.hessian = layer.hessian / at::outer(root, root);
  layer.hessian.diagonal().fill_(1);
  LinearRecipe mean = recipe_of(true), median = mean;
  median.objective.damping_reference = DampingReference::kMedian;
  EXPECT_TRUE(dequantize(quantize(layer, mean).quantized)
                  .equal(dequantize(quantize(layer, median).quantized)));
}

}  // namespace
}  // namespace halftone::testing
