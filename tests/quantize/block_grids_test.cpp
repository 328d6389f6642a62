// Grids in super-blocks in the one sweep, K-quants and points of codebooks: methods.md 4.3, 4.7;
// methods.md 11, identities 2 and 16.
#include "block_grids.h"

#include "matrix/quadratic_form.h"

namespace halftone::testing {
namespace {

constexpr double kClose = 1e-4;  // relative, of sums with values in float32

std::string name_of(const LinearRecipe& recipe) {
  const GridOptions& grid = recipe.grid;
  if (grid.levels != Levels::kEven) return std::string(levels_shape(grid.levels).word);
  return grid.kind == GridKind::kVector ? std::string(codebook_shape(grid.codebook).word)
                                        : "q" + std::to_string(grid.bits) + "_k";
}

struct Case {
  LinearRecipe recipe;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << name_of(one.recipe);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int bits : {2, 3, 4, 5, 6}) all.push_back({super_blocks(bits)});
  for (const Levels levels : kUnevenLevels)
    all.push_back({super_blocks(levels_shape(levels).bits, levels)});
  for (const Codebook codebook : kCodebooks) all.push_back({vectors(codebook)});
  return all;
}

class BlockGrids : public ::testing::TestWithParam<Case> {};

TEST_P(BlockGrids, TheSumOfErrorsIsTheQuadraticForm) {
  const Layer layer = random_layer(20, 512);
  for (const bool static_groups : {true, false}) {
    LinearRecipe recipe = GetParam().recipe;
    recipe.order.static_groups = static_groups;
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

TEST_P(BlockGrids, CompensationLosesLessThanRoundingToNearest) {
  const Layer layer = random_layer(32, 512);
  const auto loss = [&](const LinearRecipe& recipe) {
    const LinearOutcome outcome =
        LinearSolver(layer.statistics32(), recipe, 2).quantize(layer.weight32());
    return quadratic_form(layer.weight - dequantize(outcome.quantized).to(at::kDouble),
                          layer.hessian);
  };
  const double nearest = loss(to_nearest(GetParam().recipe));
  // a sign alone leaves little to choose
  const double most = (GetParam().recipe.grid.levels == Levels::kQ1 ? 0.8 : 0.7) * nearest;
  EXPECT_LT(loss(GetParam().recipe), most);
  if (GetParam().recipe.grid.kind == GridKind::kVector) return;  // in the file's order alone
  LinearRecipe by_activation = GetParam().recipe;
  by_activation.order.kind = OrderKind::kActivation;
  EXPECT_LT(loss(by_activation), most);
}

TEST_P(BlockGrids, RunsOfRowsAreJoined) {
  const Layer layer = random_layer(24, 256);
  LinearStatistics statistics = layer.statistics32();
  statistics.hessian = at::stack({statistics.hessian, statistics.hessian});
  LinearRecipe recipe = GetParam().recipe;
  recipe.objective.kind = ObjectiveKind::kGuided;
  recipe.objective.row_groups = 2;
  const QuantizedLinear joined =
      LinearSolver(statistics, recipe, 1).quantize(layer.weight32()).quantized;
  recipe.objective.row_groups = 1;
  const QuantizedLinear alone =
      LinearSolver(layer.statistics32(), recipe, 1).quantize(layer.weight32()).quantized;
  EXPECT_TRUE(dequantize(joined).equal(dequantize(alone)));
  EXPECT_TRUE(dequantize_rows(joined, 10, 14).equal(dequantize(alone).narrow(0, 10, 14)));
}

std::string name_of_case(const ::testing::TestParamInfo<Case>& one) {
  return name_of(one.param.recipe);
}

INSTANTIATE_TEST_SUITE_P(All, BlockGrids, ::testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace halftone::testing
