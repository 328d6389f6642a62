// Grids in super-blocks in the one sweep, K-quants and vectors: methods.md 4.3, 4.7; methods.md 11,
// identities 2, 10 and 16.
#include "quantize/grid/super_block.h"

#include "layers.h"
#include "matrix/quadratic_form.h"

namespace halftone::testing {
namespace {

constexpr double kClose = 1e-4;  // relative, of sums in float32

LinearRecipe super_blocks(int bits) {
  const SuperBlockShape shape = super_block_shape(bits);
  LinearRecipe recipe;
  recipe.grid = {.kind = GridKind::kSuperBlock,
                 .bits = bits,
                 .group_size = shape.group_size,
                 .symmetric = shape.symmetric,
                 .clip_search = true,
                 .clip_weights = ClipWeights::kFactor};
  return recipe;
}

LinearRecipe to_nearest(LinearRecipe recipe) {
  recipe.objective.kind = ObjectiveKind::kNone;
  recipe.grid.clip_weights = ClipWeights::kNone;
  return recipe;
}

class SuperBlocksOf : public ::testing::TestWithParam<int> {};

TEST_P(SuperBlocksOf, TheSumOfErrorsIsTheQuadraticForm) {
  const Layer layer = random_layer(20, 512);
  for (const bool static_groups : {true, false}) {
    LinearRecipe recipe = super_blocks(GetParam());
    recipe.order = {OrderKind::kNatural, static_groups};
    const LinearOutcome outcome =
        LinearSolver(layer.statistics(), recipe, 2).quantize(layer.weight);
    const at::Tensor error = layer.weight - dequantize(outcome.quantized).to(at::kDouble);
    const double ridge = recipe.objective.damping * layer.hessian.diagonal().mean().item<double>();
    const double expected =
        quadratic_form(error, layer.hessian) + ridge * error.square().sum().item<double>();
    EXPECT_NEAR(outcome.loss, expected, kClose * expected);
    EXPECT_EQ(outcome.fallback, "");
  }
}

TEST_P(SuperBlocksOf, CompensationLosesLessThanRoundingToNearest) {
  const Layer layer = random_layer(32, 512);
  const auto loss = [&](const LinearRecipe& recipe) {
    const LinearOutcome outcome =
        LinearSolver(layer.statistics32(), recipe, 2).quantize(layer.weight32());
    return quadratic_form(layer.weight - dequantize(outcome.quantized).to(at::kDouble),
                          layer.hessian);
  };
  const double nearest = loss(to_nearest(super_blocks(GetParam())));
  for (const OrderKind order : {OrderKind::kNatural, OrderKind::kActivation}) {
    LinearRecipe recipe = super_blocks(GetParam());
    recipe.order.kind = order;
    EXPECT_LT(loss(recipe), 0.7 * nearest);
  }
}

TEST_P(SuperBlocksOf, NoCodeIsNearerThanTheOneChosen) {
  const Layer layer = random_layer(17, 256);
  const QuantizedLinear linear = LinearSolver({}, to_nearest(super_blocks(GetParam())), 1)
                                     .quantize(layer.weight32())
                                     .quantized;
  const at::Tensor chosen = (dequantize(linear) - layer.weight32()).abs();
  for (int code = 0; code < 1 << GetParam(); ++code) {
    QuantizedLinear other = linear;
    other.codes = at::full_like(linear.codes, code);
    const at::Tensor error = (dequantize(other) - layer.weight32()).abs();
    EXPECT_TRUE(chosen.le(error + 1e-7).all().item<bool>()) << code;
  }
}

TEST_P(SuperBlocksOf, RunsOfRowsAreJoined) {
  const Layer layer = random_layer(24, 256);
  LinearStatistics statistics = layer.statistics32();
  statistics.hessian = at::stack({statistics.hessian, statistics.hessian});
  LinearRecipe recipe = super_blocks(GetParam());
  recipe.objective.kind = ObjectiveKind::kGuided;
  recipe.objective.row_groups = 2;
  const QuantizedLinear joined =
      LinearSolver(statistics, recipe, 1).quantize(layer.weight32()).quantized;
  recipe.objective.row_groups = 1;
  const QuantizedLinear alone =
      LinearSolver(layer.statistics32(), recipe, 1).quantize(layer.weight32()).quantized;
  EXPECT_TRUE(dequantize(joined).equal(dequantize(alone)));
  EXPECT_NO_THROW(dequantize_rows(joined, 10, 14));
}

TEST_P(SuperBlocksOf, DegenerateWeightsAreFinite) {
  at::Tensor weight = at::zeros({16, 256}, at::kFloat);
  weight.select(0, 1).fill_(0.25);
  weight.select(0, 2).fill_(-0.25);
  weight[3][200] = 100;
  weight.select(0, 4).fill_(1e-12);
  const LinearOutcome outcome =
      LinearSolver({}, to_nearest(super_blocks(GetParam())), 1).quantize(weight);
  const at::Tensor values = dequantize(outcome.quantized);
  EXPECT_TRUE(values.isfinite().all().item<bool>());
  EXPECT_TRUE(values.select(0, 0).eq(0).all().item<bool>());
  EXPECT_NEAR(values[1][0].item<double>(), 0.25, 1e-3);
  EXPECT_NEAR(values[2][0].item<double>(), -0.25, 1e-3);
  EXPECT_NEAR(values[3][200].item<double>(), 100, 0.1);
  EXPECT_NE(outcome.fallback.find("too small for float16"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(AllWidths, SuperBlocksOf, ::testing::Values(2, 3, 4, 5, 6));

}  // namespace
}  // namespace halftone::testing
