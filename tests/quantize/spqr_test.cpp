// The bilevel grid and outliers by sensitivity against the plain reference, and methods.md 11,
// identities 14, 15, 16, 19, 22, 23, 25.
#include <fmt/format.h>

#include "layers.h"
#include "reference_spqr.h"

namespace halftone::testing {
namespace {

constexpr double kFloatLoss = 1e-3;  // methods.md 7.4: float32 is accepted by loss

LinearRecipe spqr(int bits, int64_t group, double threshold) {
  LinearRecipe recipe;
  recipe.objective.damping = 0.1;
  recipe.grid = {.kind = GridKind::kBilevel, .bits = bits, .group_size = group};
  recipe.outliers = {.kind = OutlierKind::kSpqr, .tau = threshold};
  recipe.order = {.kind = OrderKind::kActivation, .static_groups = false};
  return recipe;
}

struct Variant {
  std::string name;
  LinearRecipe recipe;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

// 172 columns: 10 groups of 16 and one of 12; 5 of 32 and one of 12; 2 of 64 and one of 44.
std::vector<Variant> variants() {
  std::vector<Variant> result = {
      {"b3g16", spqr(3, 16, 0.2)},         {"b2g64", spqr(2, 64, 1)},
      {"b4g32", spqr(4, 32, 0.1)},         {"many_outliers", spqr(2, 16, 0.05)},
      {"no_outliers", spqr(3, 16, 1e6)},   {"natural", spqr(3, 32, 0.3)},
      {"static_groups", spqr(3, 32, 0.3)}, {"symmetric", spqr(3, 32, 0.3)},
      {"simplified", spqr(3, 32, 0.3)},    {"rounded_zeros", spqr(4, 32, 0.2)},
      {"integer_zeros", spqr(4, 32, 0.2)}, {"runs_of_4", spqr(3, 16, 0.3)},
      {"wide_codes", spqr(3, 64, 0.5)},    {"whole_rows", spqr(4, 0, 0.5)}};
  const auto recipe_of = [&](const std::string& name) -> LinearRecipe& {
    return std::find_if(result.begin(), result.end(),
                        [&](const Variant& one) { return one.name == name; })
        ->recipe;
  };
  recipe_of("no_outliers").outliers.kind = OutlierKind::kNone;
  recipe_of("natural").order.kind = OrderKind::kNatural;
  recipe_of("static_groups").order.static_groups = true;
  recipe_of("symmetric").grid.symmetric = true;
  recipe_of("simplified").outliers.simplified = true;
  recipe_of("rounded_zeros").grid.round_zero = true;
  recipe_of("integer_zeros").grid.round_zero = true;
  recipe_of("integer_zeros").grid.qq_zero_bits = 4;
  recipe_of("runs_of_4").grid.qq_groupsize = 4;
  recipe_of("wide_codes").grid.qq_scale_bits = recipe_of("wide_codes").grid.qq_zero_bits = 6;
  return result;
}

class Spqr : public ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(All, Spqr, ::testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

void expect_reference(const Layer& layer, const LinearRecipe& recipe) {
  const ReferenceOutliers expected =
      reference_spqr(to_matrix(layer.weight), to_matrix(layer.hessian), recipe);
  const LinearOutcome outcome = quantize(layer, recipe);
  EXPECT_EQ(count_differing(outcome.quantized.codes, expected.codes), 0);
  EXPECT_EQ(count_differing(mask_of(outcome.quantized).to(at::kByte), expected.mask), 0);
  EXPECT_NEAR(outcome.loss / expected.loss, 1, 1e-9);
  EXPECT_EQ(outcome.fallback, "");
  const bool outliers = recipe.outliers.kind != OutlierKind::kNone;
  EXPECT_EQ(outcome.quantized.outliers.has_value(), outliers);
  if (!outliers) return;
  EXPECT_GT(outcome.quantized.outliers->count(), 0);
}

TEST_P(Spqr, CodesAndMaskOfARealLayerAreThoseOfThePlainReference) {
  expect_reference(real_layer(), GetParam().recipe);
}

TEST_P(Spqr, CodesAndMaskOfASmolLm2LayerAreThoseOfThePlainReference) {
  expect_reference(smollm2_layer(), GetParam().recipe);
}

TEST_P(Spqr, Float32LossIsTheReferences) {
  const Layer layer = real_layer();
  const ReferenceOutliers expected =
      reference_spqr(to_matrix(layer.weight), to_matrix(layer.hessian), GetParam().recipe);
  EXPECT_NEAR(quantize32(layer, GetParam().recipe).loss / expected.loss, 1, kFloatLoss);
}

}  // namespace
}  // namespace halftone::testing
