// Outliers decided before the sweep, kept in float16 beside any grid; methods.md 11, identities 2,
// 16 and 23.
#include "layers.h"
#include "quantize/outliers/frozen.h"
#include "quantize/outliers/lasso.h"
#include "reference_split.h"
#include "reference_spqr.h"

namespace halftone::testing {
namespace {

LinearRecipe frozen(GridKind kind, bool static_groups, double share = 0.03) {
  LinearRecipe recipe;
  recipe.grid = {.kind = kind, .bits = 3, .group_size = 32};
  recipe.outliers = {.kind = OutlierKind::kLasso, .rate = share};
  recipe.order = {OrderKind::kNatural, static_groups};
  return recipe;
}

// The sweep with the outliers of a mask kept, over a uniform grid fitted to the others (methods.md
// 7.1).  -> (out, in) the values
Matrix reference_frozen(const Layer& layer, const LinearRecipe& recipe) {
  const ReferenceProblem problem =
      reference_problem(to_matrix(layer.weight), to_matrix(layer.hessian), recipe);
  const auto& [weight, order, u, g, dynamic] = problem;
  const auto count = std::llround(recipe.outliers.rate * static_cast<double>(weight.values.size()));
  const std::vector<bool> outlier = reference_lasso(weight.values, count);
  Matrix result(weight.rows, weight.columns);
  for (int64_t row = 0; row < weight.rows; ++row) {
    std::vector<double> w, start;
    for (const int64_t column : order) w.push_back(weight(row, column));
    start = w;
    ReferenceGrid grid;
    for (int64_t j = 0; j < weight.columns; ++j) {
      if (j % g == 0) {
        std::vector<double> others;
        for (int64_t k = j; k < std::min(weight.columns, j + g); ++k)
          if (!outlier[row * weight.columns + k]) others.push_back(dynamic ? w[k] : start[k]);
        if (others.empty()) others.push_back(0);
        grid = reference_fit(recipe.grid, others);
      }
      const bool keeps = outlier[row * weight.columns + j];
      result(row, j) = keeps ? reference_half(w[j]) : grid.value(grid.code(w[j]));
      const double e = (w[j] - result(row, j)) / u(j, j);
      for (int64_t k = j + 1; k < weight.columns; ++k) w[k] -= e * u(j, k);
    }
  }
  return result;
}

TEST(FrozenOutliers, SweepOverAUniformGridIsThatOfThePlainReference) {
  for (const bool static_groups : {false, true})
    for (const Layer& layer : {random_layer(21, 172), real_layer()}) {
      const LinearRecipe recipe = frozen(GridKind::kUniform, static_groups);
      const Matrix expected = reference_frozen(layer, recipe);
      const at::Tensor what = dequantize(quantize(layer, recipe).quantized);
      for (int64_t i = 0; i < what.numel(); ++i) {
        const double value = expected.values[static_cast<size_t>(i)];
        ASSERT_NEAR(what.const_data_ptr<float>()[i], value, std::abs(value) * 1.2e-7) << i;
      }
    }
}

TEST(FrozenOutliers, AreThoseOfTheMaskWhateverTheGridOrderAndGrouping) {
  const Layer layer = real_layer();
  const at::Tensor members = lasso_outliers(layer.weight, 0.03).members;
  for (const GridKind kind : {GridKind::kUniform, GridKind::kBilevel})
    for (const OrderKind order : {OrderKind::kNatural, OrderKind::kActivation})
      for (const bool static_groups : {false, true}) {
        LinearRecipe recipe = frozen(kind, static_groups);
        recipe.order.kind = order;
        const LinearOutcome outcome = quantize(layer, recipe);
        EXPECT_TRUE(mask_of(outcome.quantized).equal(members));
        EXPECT_NEAR(outlier_share(outcome.quantized), 0.03, 0.5 / members.numel());
        // identity 2: the losses are those of the weights that a reader puts together (identity 16)
        const double loss = damped_loss(layer, dequantize(outcome.quantized), 0.01);
        EXPECT_NEAR(loss / outcome.loss, 1, 1e-6);
        EXPECT_EQ(outcome.fallback, "");
      }
}

TEST(FrozenOutliers, TakeTheTailsOffTheGrid) {
  const at::Tensor weight = real_layer().weight32();
  LinearRecipe recipe = frozen(GridKind::kUniform, true);
  recipe.objective.kind = ObjectiveKind::kNone;
  const LinearOutcome kept = LinearSolver({}, recipe, 1).quantize(weight);
  recipe.outliers.kind = OutlierKind::kNone;
  EXPECT_LT(kept.loss, 0.9 * LinearSolver({}, recipe, 1).quantize(weight).loss);
}

// Identity 23.
TEST(FrozenOutliers, GroupsOfNothingElseAndHugeOnesAreFinite) {
  at::Tensor weight = normal({6, 64}, 2).to(at::kFloat) * 0.01;
  weight.select(0, 0).fill_(0);
  weight.select(0, 1).narrow(0, 0, 32).fill_(5.0);  // nothing but outliers
  weight[2][3] = 1e30F;                             // beyond float16: its greatest number
  LinearRecipe recipe = frozen(GridKind::kUniform, true, 33.0 / 384);
  recipe.objective.kind = ObjectiveKind::kNone;
  for (const GridKind kind : {GridKind::kUniform, GridKind::kBilevel}) {
    recipe.grid.kind = kind;
    const at::Tensor what = dequantize(LinearSolver({}, recipe, 1).quantize(weight).quantized);
    EXPECT_TRUE(at::isfinite(what).all().item<bool>());
    EXPECT_EQ(what[1].narrow(0, 0, 32).min().item<float>(), 5.0F);
    EXPECT_EQ(what[2][3].item<float>(), 65504.0F);
  }
}

}  // namespace
}  // namespace halftone::testing
