// Rows solved in runs, each with a Hessian of its own: methods.md 2.3 with k >= 1.
#include <fmt/format.h>

#include "layers.h"
#include "quantize/solve_linear.h"

namespace halftone::testing {
namespace {

constexpr double kFloat64 = 1e-9;  // relative, sums in another order

LinearRecipe guided(GridKind kind = GridKind::kUniform) {
  LinearRecipe recipe;
  recipe.objective.kind = ObjectiveKind::kGuided;
  recipe.grid = {.kind = kind, .bits = 3, .group_size = 16};
  recipe.order.static_groups = false;
  return recipe;
}

// A weight, and a Hessian for each of `groups` runs of its rows.
struct GroupedLayer {
  at::Tensor weight;    // (out, in) float64
  at::Tensor hessians;  // (groups, in, in) float64

  GroupedLayer(int64_t out, int64_t in, int64_t groups) : weight(random_layer(out, in).weight) {
    std::vector<at::Tensor> all;
    for (int64_t g = 0; g < groups; ++g) all.push_back(random_layer(1, in, 100 + g).hessian);
    hessians = at::stack(all);
  }
  LinearOutcome quantize(const LinearRecipe& recipe) const {
    return LinearSolver({hessians, 1}, recipe, 2).quantize(weight);
  }
  at::Tensor rows(int64_t group) const {
    const int64_t out = weight.size(0), groups = hessians.size(0);
    const int64_t first = first_row_of_group(out, groups, group);
    return weight.narrow(0, first, first_row_of_group(out, groups, group + 1) - first);
  }
};

TEST(RowGroups, CoverEveryRowOnceAsEvenlyAsCanBe) {
  for (const auto& [out, groups] : {std::pair{64, 4}, {7, 3}, {5, 5}, {9, 1}}) {
    EXPECT_EQ(first_row_of_group(out, groups, 0), 0);
    EXPECT_EQ(first_row_of_group(out, groups, groups), out);
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t rows =
          first_row_of_group(out, groups, g + 1) - first_row_of_group(out, groups, g);
      EXPECT_GE(rows, out / groups);
      EXPECT_LE(rows, out / groups + 1);
    }
  }
}

TEST(RowGroups, RunsInNaturalOrderAreSolvedAsLinearsOfTheirOwn) {
  for (const GridKind kind : {GridKind::kUniform, GridKind::kBilevel})
    for (const OutlierKind outliers : {OutlierKind::kNone, OutlierKind::kSpqr}) {
      const GroupedLayer layer(96, 48, 3);
      LinearRecipe recipe = guided(kind);
      recipe.outliers = {.kind = outliers, .tau = 0.3};
      const LinearOutcome all = layer.quantize(recipe);
      const at::Tensor values = dequantize(all.quantized);
      double loss = 0;
      for (int64_t g = 0; g < 3; ++g) {
        const LinearOutcome own =
            LinearSolver({layer.hessians[g], 1}, recipe, 2).quantize(layer.rows(g));
        EXPECT_TRUE(dequantize(own.quantized).equal(values.narrow(0, 32 * g, 32)));
        loss += own.loss;
      }
      EXPECT_NEAR(all.loss / loss, 1, kFloat64);
      EXPECT_EQ(all.quantized.outliers.has_value(), outliers != OutlierKind::kNone);
      EXPECT_EQ(all.fallback, "");
    }
}

TEST(RowGroups, OneHessianForEveryRowIsTheSlowReferenceRowByRow) {
  const GroupedLayer layer(7, 40, 7);
  const LinearOutcome all = layer.quantize(guided());
  for (int64_t row = 0; row < 7; ++row) {
    const ReferenceResult expected = reference_quantize(to_matrix(layer.weight.narrow(0, row, 1)),
                                                        to_matrix(layer.hessians[row]), guided());
    EXPECT_EQ(count_differing(all.quantized.codes.narrow(0, row, 1), expected.codes), 0) << row;
  }
}

struct GroupedCase {
  const char* name;
  LinearRecipe recipe;
};

void PrintTo(const GroupedCase& of, std::ostream* out) {
  *out << of.name;
}

// Outliers by sensitivity are not among them: their threshold is each run's own.
std::vector<GroupedCase> grouped_cases() {
  std::vector<GroupedCase> all = {{"uniform", guided()},
                                  {"bilevel", guided(GridKind::kBilevel)},
                                  {"split", guided(GridKind::kSplit)},
                                  {"kept", guided()},
                                  {"static_groups", guided()}};
  for (GroupedCase& one : all) one.recipe.order.kind = OrderKind::kActivation;
  all[2].recipe.grid.outlier_codes = OutlierCodes::kSignMagnitude;
  all[2].recipe.outliers = all[3].recipe.outliers = {.kind = OutlierKind::kLasso, .rate = 0.03};
  all[4].recipe.order.static_groups = true;
  return all;
}

class EqualRowGroups : public ::testing::TestWithParam<GroupedCase> {};
INSTANTIATE_TEST_SUITE_P(All, EqualRowGroups, ::testing::ValuesIn(grouped_cases()),
                         [](const auto& of) { return of.param.name; });

TEST_P(EqualRowGroups, GiveWhatOneGroupGives) {
  const Layer layer = real_layer();
  const LinearOutcome one =
      LinearSolver(layer.statistics(), GetParam().recipe, 2).quantize(layer.weight);
  const at::Tensor hessians =
      at::stack({layer.hessian, layer.hessian, layer.hessian, layer.hessian});
  const LinearOutcome four =
      LinearSolver({hessians, 1}, GetParam().recipe, 2).quantize(layer.weight);
  EXPECT_TRUE(four.quantized.codes.equal(one.quantized.codes));
  EXPECT_TRUE(dequantize(four.quantized).equal(dequantize(one.quantized)));
  EXPECT_DOUBLE_EQ(bits_per_weight(four.quantized), bits_per_weight(one.quantized));
  EXPECT_NEAR(four.loss / one.loss, 1, kFloat64);
  EXPECT_NEAR(four.relative_error / one.relative_error, 1, kFloat64);
  const LinearOutcome stacked =
      LinearSolver({layer.hessian.unsqueeze(0), 1}, GetParam().recipe, 2).quantize(layer.weight);
  EXPECT_TRUE(dequantize(stacked.quantized).equal(dequantize(one.quantized)));
}

TEST(RowGroups, HaveOneOrderOfColumnsThatOfTheSumOfTheirDiagonals) {
  const GroupedLayer layer(32, 48, 2);
  LinearRecipe recipe = guided();
  recipe.order.kind = OrderKind::kActivation;
  const at::Tensor index = layer.quantize(recipe).quantized.group_of_column;
  const at::Tensor order = layer.hessians.sum(0).diagonal().argsort(0, /*descending=*/true);
  EXPECT_TRUE(
      index.index_select(0, order).equal(at::arange(48, at::kInt).div(16, "floor").to(at::kInt)));
}

TEST(RowGroups, AColumnIsDeadOnlyWhereItIsInAllOfThem) {
  GroupedLayer layer(32, 48, 2);
  for (const auto& [group, column] : {std::pair{0, 5}, {1, 5}, {0, 9}}) {
    layer.hessians[group].select(0, column).zero_();
    layer.hessians[group].select(1, column).zero_();
  }
  for (const GridKind kind : {GridKind::kUniform, GridKind::kBilevel}) {
    const at::Tensor values = dequantize(layer.quantize(guided(kind)).quantized);
    EXPECT_EQ(values.select(1, 5).abs().max().item<float>(), 0);
    EXPECT_GT(values.select(1, 9).abs().max().item<float>(), 0);
    EXPECT_TRUE(values.isfinite().all().item<bool>());
  }
}

TEST(RowGroups, ARunWithoutAnyGradientFallsBackAndIsNamed) {
  GroupedLayer layer(32, 48, 2);
  layer.hessians[1].zero_();
  const LinearOutcome outcome = layer.quantize(guided());
  EXPECT_EQ(outcome.fallback.rfind("rows 16 to 31: round to nearest", 0), 0) << outcome.fallback;
  EXPECT_TRUE(dequantize(outcome.quantized).isfinite().all().item<bool>());
}

TEST(RowGroups, PreShiftTakesEachRunsOwnDrift) {
  const GroupedLayer layer(32, 48, 2);
  const at::Tensor moments = at::stack({normal({48, 48}, 5), normal({48, 48}, 6)});
  LinearRecipe recipe = guided();
  recipe.target.preshift = 0.5;
  const at::Tensor all = dequantize(
      LinearSolver({layer.hessians, 1, moments}, recipe, 2).quantize(layer.weight).quantized);
  for (int64_t g = 0; g < 2; ++g) {
    const LinearSolver own({layer.hessians[g], 1, moments[g]}, recipe, 2);
    EXPECT_TRUE(dequantize(own.quantize(layer.rows(g)).quantized).equal(all.narrow(0, 16 * g, 16)));
  }
}

}  // namespace
}  // namespace halftone::testing
