// Outliers ranked by what their rows count (methods.md 5.2).
#include <fmt/format.h>

#include "layers.h"

namespace halftone::testing {
namespace {

LinearRecipe ranked(double threshold, double rate = 0, GridKind kind = GridKind::kUniform) {
  LinearRecipe recipe;
  recipe.objective.kind = ObjectiveKind::kOac;
  recipe.grid = {.kind = kind, .bits = 3, .group_size = 16};
  recipe.outliers = {.kind = OutlierKind::kSpqr,
                     .tau = threshold,
                     .rate = rate,
                     .ranking = OutlierRanking::kRowEnergy};
  recipe.order = {OrderKind::kActivation, /*static_groups=*/false};
  return recipe;
}

LinearRecipe plain(LinearRecipe recipe) {
  recipe.outliers.ranking = OutlierRanking::kPlain;
  return recipe;
}

LinearOutcome quantize_with(const Layer& layer, const LinearRecipe& recipe,
                            const at::Tensor& energies) {
  return LinearSolver(layer.statistics(), recipe, 2).quantize(layer.weight, energies);
}

at::Tensor outliers_of_rows(const LinearOutcome& outcome) {
  return mask_of(outcome.quantized).sum(1);
}

// Many small, few large, as row energies are.
at::Tensor uneven_energies(int64_t out) {
  return at::exp(normal({out}, 77) * 1.5);
}

TEST(RowEnergies, EqualOnesKeepWhatPlainRankingKeeps) {
  for (const double rate : {0.0, 0.01})
    for (const GridKind kind : {GridKind::kUniform, GridKind::kBilevel}) {
      const Layer layer = rate == 0 ? real_layer() : random_layer(400, 64);
      const LinearRecipe recipe = ranked(0.2, rate, kind);
      const at::Tensor energies = at::full({layer.weight.size(0)}, 0.3, at::kDouble);
      const QuantizedLinear weighed = quantize_with(layer, recipe, energies).quantized;
      const QuantizedLinear alike = quantize(layer, plain(recipe)).quantized;
      ASSERT_GT(alike.outliers->count(), 10);
      EXPECT_TRUE(mask_of(weighed).equal(mask_of(alike)));
      EXPECT_TRUE(dequantize(weighed).equal(dequantize(alike)));
    }
}

// On a uniform grid rows do not see each other: a row that counts s times as much is the row of a
// plain solve with the threshold divided by s.
TEST(RowEnergies, DivideTheThresholdOfTheirRow) {
  const Layer layer = real_layer();
  at::Tensor energies = at::ones({64}, at::kDouble);
  energies[3] = 10.0;
  energies[40] = 0.25;
  const double mean = energies.mean().item<double>();
  const at::Tensor found = dequantize(quantize_with(layer, ranked(0.3), energies).quantized);
  for (const int64_t row : {0, 3, 40}) {
    const double threshold = 0.3 * mean / energies[row].item<double>();
    const at::Tensor expected = dequantize(quantize(layer, plain(ranked(threshold))).quantized);
    EXPECT_TRUE(found[row].equal(expected[row])) << row;
  }
}

TEST(RowEnergies, ARowOfTenTimesTheEnergyKeepsMoreOutliersAtTheSameRate) {
  const Layer layer = real_layer();
  at::Tensor energies = at::ones({64}, at::kDouble);
  energies[7] = 10.0;
  const LinearRecipe recipe = ranked(0.2, 0.02);
  const at::Tensor weighed = outliers_of_rows(quantize_with(layer, recipe, energies));
  const at::Tensor alike = outliers_of_rows(quantize(layer, plain(recipe)));
  EXPECT_GT(weighed[7].item<int64_t>(), 3 * alike[7].item<int64_t>());
  EXPECT_NEAR(weighed.sum().item<double>(), alike.sum().item<double>(), 3);
}

TEST(RowEnergies, RowsWithoutAnyKeepNone) {
  at::Tensor energies = at::ones({64}, at::kDouble);
  energies[7] = 0.0;
  const at::Tensor counts = outliers_of_rows(quantize_with(real_layer(), ranked(0.05), energies));
  EXPECT_EQ(counts[7].item<int64_t>(), 0);
  EXPECT_GT(counts.sum().item<int64_t>(), 100);
}

TEST(RowEnergies, TheRateOfTheSweepIsTheOneAskedFor) {
  for (const GridKind kind : {GridKind::kUniform, GridKind::kBilevel}) {
    const Layer layer = real_layer();  // its own sample
    const double found =
        outlier_share(quantize_with(layer, ranked(0.2, 0.01, kind), uneven_energies(64)).quantized);
    EXPECT_NEAR(found, 0.01, std::max(0.004 / 32, 1.0 / layer.weight.numel()) + 1e-9);
  }
}

TEST(RowEnergies, ASampleOfUnevenRowsComesNearTheRate) {
  const Layer layer = random_layer(1024, 64);
  const double found =
      outlier_share(quantize_with(layer, ranked(0.2, 0.02), uneven_energies(1024)).quantized);
  EXPECT_GT(found, 0.014);
  EXPECT_LT(found, 0.028);
}

TEST(RowEnergies, AbsentOrUselessOnesRankPlainlyAndSaySo) {
  const Layer layer = real_layer();
  const at::Tensor expected = dequantize(quantize(layer, plain(ranked(0.2))).quantized);
  for (const at::Tensor& energies :
       {at::Tensor(), at::zeros({64}, at::kDouble), at::full({64}, NAN, at::kDouble)}) {
    const LinearOutcome outcome = quantize_with(layer, ranked(0.2), energies);
    EXPECT_NE(outcome.fallback.find("outliers ranked alike"), std::string::npos);
    EXPECT_TRUE(dequantize(outcome.quantized).equal(expected));
  }
}

TEST(RowEnergies, AreOneForEachRow) {
  EXPECT_EQ(message_of([&] {
              (void)quantize_with(real_layer(), ranked(0.2), at::ones({63}, at::kDouble));
            }),
            "statistics: 63 row energies for a weight of 64 rows");
}

}  // namespace
}  // namespace halftone::testing
