// The split grid against the plain reference, on degenerate groups and as a tensor; methods.md 11,
// identities 16, 21 and 23.
#include <fmt/format.h>

#include "base/error.h"
#include "layers.h"
#include "quantize/grid/split.h"
#include "reference_split.h"

namespace halftone::testing {
namespace {

constexpr double kExact = 1e-9;      // float64, relative
constexpr double kFloatLoss = 5e-3;  // methods.md 7.4, and ties of symmetric scales
constexpr double kFloat32 = 1.2e-7;  // the product that dequantize takes in float32, relative

struct Variant {
  std::string name;
  LinearRecipe recipe;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

LinearRecipe split_recipe(int bits, int64_t group, bool symmetric, OutlierCodes codes,
                          double share = 0.05) {
  LinearRecipe recipe;
  recipe.grid = {.kind = GridKind::kSplit,
                 .bits = bits,
                 .group_size = group,
                 .symmetric = symmetric,
                 .outlier_codes = codes};
  recipe.outliers = {.kind = OutlierKind::kLasso, .rate = share};
  return recipe;
}

LinearRecipe without_objective(LinearRecipe recipe) {
  recipe.objective.kind = ObjectiveKind::kNone;
  return recipe;
}

std::vector<Variant> variants() {
  std::vector<Variant> result;
  for (const int bits : {2, 3, 4})
    for (const bool symmetric : {false, true})
      for (const OutlierCodes codes : {OutlierCodes::kUniform, OutlierCodes::kSignMagnitude})
        for (const bool static_groups : {false, true}) {
          LinearRecipe recipe = split_recipe(bits, bits == 3 ? 44 : 64, symmetric, codes);
          recipe.grid.clip_search = bits == 2;
          recipe.order.static_groups = static_groups;
          result.push_back(
              {fmt::format("b{}_{}_{}_{}", bits, symmetric ? "symmetric" : "asymmetric",
                           codes == OutlierCodes::kUniform ? "uniform" : "magnitude",
                           static_groups ? "static" : "dynamic"),
               recipe});
        }
  return result;
}

Matrix damped_upper(const Layer& layer, double damping) {
  Matrix hessian = to_matrix(layer.hessian);
  double mean = 0;
  for (int64_t j = 0; j < hessian.rows; ++j) mean += hessian(j, j);
  mean /= static_cast<double>(hessian.rows);
  for (int64_t j = 0; j < hessian.rows; ++j) hessian(j, j) += damping * mean;
  return reference_upper(hessian);
}

void expect_same(const QuantizedLinear& found, const ReferenceSplitResult& expected) {
  ASSERT_TRUE(found.split.has_value());
  EXPECT_EQ(count_differing(found.codes, expected.rounded.codes), 0);
  const at::Tensor members = found.split->members.contiguous(), what = dequantize(found);
  for (int64_t i = 0; i < members.numel(); ++i) {
    ASSERT_EQ(members.const_data_ptr<bool>()[i], expected.outlier[static_cast<size_t>(i)]);
    const double value = expected.rounded.weights.values[static_cast<size_t>(i)];
    ASSERT_NEAR(what.const_data_ptr<float>()[i], value, std::abs(value) * kFloat32);
  }
}

class SplitVariant : public ::testing::TestWithParam<Variant> {
 protected:
  const LinearRecipe& recipe() const { return GetParam().recipe; }
};
INSTANTIATE_TEST_SUITE_P(All, SplitVariant, ::testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

TEST_P(SplitVariant, SweepIsThatOfThePlainReference) {
  for (const Layer& layer : {random_layer(21, 172), real_layer()}) {
    const auto expected =
        reference_split_sweep(to_matrix(layer.weight), damped_upper(layer, 0.01), recipe());
    const LinearOutcome outcome = quantize(layer, recipe());
    expect_same(outcome.quantized, expected);
    EXPECT_NEAR(outcome.loss / expected.rounded.loss, 1, kExact);
    EXPECT_EQ(outcome.fallback, "");
    EXPECT_NEAR(quantize32(layer, recipe()).loss / expected.rounded.loss, 1, kFloatLoss);
  }
}

TEST_P(SplitVariant, WithoutAnObjectiveEveryWeightTakesItsNearestValue) {
  if (recipe().grid.clip_search) return;  // float32 weights, a search in another precision
  const at::Tensor weight = real_layer().weight32();
  const auto expected = reference_split_sweep(to_matrix(weight), std::nullopt, recipe());
  const auto outcome = LinearSolver({}, without_objective(recipe()), 2).quantize(weight);
  const int64_t other = count_differing(outcome.quantized.codes, expected.rounded.codes);
  EXPECT_LE(other, 1);  // of 11008: one float32 quotient may fall on the other side of a tie
  EXPECT_NEAR(outcome.loss / expected.rounded.loss, 1, kFloatLoss);
}

// Identity 3: with H = I nothing is compensated.
TEST_P(SplitVariant, IdentityHessianEqualsRoundToNearest) {
  const at::Tensor weight = random_layer(24, 172, 3).weight32();
  const LinearStatistics statistics{at::eye(172), 1};
  const at::Tensor swept =
      dequantize(LinearSolver(statistics, recipe(), 2).quantize(weight).quantized);
  const LinearSolver nearest({}, without_objective(recipe()), 2);
  EXPECT_TRUE(swept.equal(dequantize(nearest.quantize(weight).quantized)));
}

TEST_P(SplitVariant, ThreadsAndActivationOrderChangeNoMember) {
  const Layer layer = real_layer();
  LinearRecipe activation = recipe();
  activation.order.kind = OrderKind::kActivation;
  const LinearOutcome one = quantize(layer, activation, 1), three = quantize(layer, activation, 3);
  EXPECT_TRUE(dequantize(one.quantized).equal(dequantize(three.quantized)));
  EXPECT_TRUE(
      one.quantized.split->members.equal(quantize(layer, recipe()).quantized.split->members));
  EXPECT_NEAR(damped_loss(layer, dequantize(one.quantized), 0.01) / one.loss, 1, 1e-6);
}

// Identity 16 as far as a split grid goes: what a reader puts together from the bulk's values and
// the outliers' is what the sweep measured.
TEST_P(SplitVariant, BulkAndOutlierValuesTogetherAreTheMeasuredWeights) {
  const Layer layer = real_layer();
  const QuantizedLinear linear = quantize(layer, recipe()).quantized;
  const SplitOutliers& split = *linear.split;
  const at::Tensor what = dequantize(linear);
  const int half = 1 << (linear.bits - 1);
  for (int64_t row = 0; row < linear.out(); ++row)
    for (int64_t column = 0; column < linear.in(); ++column) {
      const int64_t group = column / linear.group_size;
      const int code = linear.codes[row][column].item<int>();
      float expected = linear.scales[row][group].item<float>() *
                       static_cast<float>(code - linear.zeros[row][group].item<int>());
      if (split.members[row][column].item<bool>()) {
        const float scale = split.scales[row][group].item<float>();
        expected = scale * static_cast<float>(code - split.zeros[row][group].item<int>());
        if (split.sign_magnitude)
          expected = (code < half ? 1.0F : -1.0F) *
                     (split.floor + scale * static_cast<float>(code % half));
      }
      ASSERT_EQ(what[row][column].item<float>(), expected);
    }
}

// Identity 23.
TEST_P(SplitVariant, DegenerateGroupsAreFiniteAndKeepTheirSigns) {
  const int64_t group = recipe().grid.group_size;
  at::Tensor weight = normal({12, 2 * group}, 4).to(at::kFloat) * 0.01;
  weight.select(0, 0).fill_(0);
  weight.select(0, 1).narrow(0, 0, group).fill_(5.0);    // nothing but outliers
  weight.select(0, 2).narrow(0, 0, group).fill_(-1e-3);  // a constant bulk
  weight.select(0, 3).narrow(0, 3, 1).fill_(1e4);        // one outlier, huge
  weight.select(0, 4).narrow(0, 7, 1).fill_(-1e30);
  weight.select(0, 5).narrow(0, 0, group / 2).fill_(-0.25);  // two levels, all of them outliers
  weight.select(0, 5).narrow(0, group / 2, group / 2).fill_(0.25);
  LinearRecipe recipe = without_objective(this->recipe());
  recipe.grid.clip_search = false;
  const double few = (2.0 * group + 2) / (24.0 * group);  // rows 1 and 5 and the two huge ones
  for (const double share : {0.0, few, 0.6, 1.0}) {
    recipe.outliers.rate = share;
    const auto linear = LinearSolver({}, recipe, 2).quantize(weight).quantized;
    const at::Tensor what = dequantize(linear);
    EXPECT_TRUE(at::isfinite(what).all().item<bool>());
    EXPECT_TRUE((what * weight >= 0).all().item<bool>());
    EXPECT_EQ(what.select(0, 0).abs().max().item<float>(), 0);
    EXPECT_TRUE((linear.scales > 0).all().item<bool>());
    EXPECT_TRUE((linear.split->scales > 0).all().item<bool>());
    if (share != few) continue;
    // alone among the outliers of their group: hit up to the rounding of a scale
    EXPECT_NEAR(what[3][3].item<float>() / 1e4, 1, 1.0 / 128);
    EXPECT_NEAR(what[4][7].item<float>() / -1e30, 1, 1.0 / 128);
    EXPECT_LE((what[1].narrow(0, 0, group) / 5 - 1).abs().max().item<float>(), 1.0 / 128);
    EXPECT_LE((what[2].narrow(0, 0, group) / -1e-3 - 1).abs().max().item<float>(), 1.0 / 128);
  }
}

TEST(SplitGrid, WithoutOutliersIsTheUniformGrid) {
  for (const bool symmetric : {false, true}) {
    LinearRecipe recipe = split_recipe(3, 64, symmetric, OutlierCodes::kUniform, 0);
    const LinearOutcome split = quantize(real_layer(), recipe);
    recipe.grid.kind = GridKind::kUniform;
    recipe.outliers.kind = OutlierKind::kNone;
    EXPECT_TRUE(
        dequantize(split.quantized).equal(dequantize(quantize(real_layer(), recipe).quantized)));
  }
}

TEST(SplitGrid, SignAndMagnitudeSpendNoCodeInsideTheGap) {
  const at::Tensor weight = real_layer().weight32();
  const auto error_of = [&](OutlierCodes codes) {
    const LinearRecipe recipe = without_objective(split_recipe(3, 64, true, codes));
    const auto linear = LinearSolver({}, recipe, 1).quantize(weight).quantized;
    const at::Tensor outliers = linear.split->members;
    const at::Tensor what = dequantize(linear);
    const float least = what.masked_select(outliers).abs().min().item<float>();
    EXPECT_GE(least, linear.split->floor);
    return (what - weight).masked_select(outliers).square().sum().item<double>();
  };
  EXPECT_LT(error_of(OutlierCodes::kSignMagnitude), 0.5 * error_of(OutlierCodes::kUniform));
}

TEST(SplitGrid, BitsCountTwoScalesAndAPositionOfEachOutlier) {
  const auto bits = [](int code_bits, bool symmetric, bool sign_magnitude, double share) {
    QuantizedLinear linear;
    linear.bits = code_bits;
    linear.group_size = 128;
    linear.symmetric = symmetric;
    linear.codes = at::zeros({1000, 1280}, at::kByte);
    linear.scales = at::ones({1000, 10});
    linear.split = SplitOutliers{.members = at::zeros({1000, 1280}, at::kBool),
                                 .scales = linear.scales,
                                 .zeros = {},
                                 .sign_magnitude = sign_magnitude};
    linear.split->members.view({-1}).narrow(0, 0, std::llround(share * 1280000)).fill_(true);
    return bits_per_weight(linear);
  };
  EXPECT_DOUBLE_EQ(bits(4, true, false, 0.05), 4.60);  // methods.md 10
  EXPECT_DOUBLE_EQ(bits(4, true, false, 0.08), 4.81);
  EXPECT_DOUBLE_EQ(bits(3, true, true, 0.05), 3.60);
  EXPECT_DOUBLE_EQ(bits(2, false, false, 0.02), 2 + (32 + 2 * 2) / 128.0 + 0.14);
  EXPECT_DOUBLE_EQ(bits(2, false, true, 0.02), 2 + (32 + 2) / 128.0 + 0.14);
}

}  // namespace
}  // namespace halftone::testing
