// Split grids against a slow reference's results on a real layer, stories260K block 3 down_proj,
// 64 x 172 (golden/methods/outliers). The reference swept in float32 and stored scales unrounded.
#include <fstream>

#include "layers.h"

namespace halftone::testing {
namespace {

constexpr double kFloat32 = 2e-7;    // of the reference's products and ours, relative
constexpr double kCount = 1e-8;      // the reference took the share of its mask in float32
constexpr double kFloatLoss = 1e-3;  // methods.md 7.4: float32 is accepted by loss

class GoldenSplit : public ::testing::Test {
 protected:
  void SetUp() override {
    HALFTONE_REQUIRE_SHARED("golden/methods/outliers.safetensors");
    tensors_ = read_safetensors(shared_data("golden/methods/outliers.safetensors"));
    std::ifstream file(shared_data("golden/methods/outliers.json"));
    results_ = nlohmann::json::parse(file)["linear"]["results"];
    weight_ = tensors_.at("W").to(at::kDouble);
  }

  LinearRecipe recipe(int bits, int64_t group, bool symmetric, double share) const {
    LinearRecipe recipe;
    recipe.objective.kind = ObjectiveKind::kNone;
    recipe.grid = {.kind = GridKind::kSplit,
                   .bits = bits,
                   .group_size = group,
                   .symmetric = symmetric,
                   .scale_bits = 0};
    recipe.outliers = {.kind = OutlierKind::kLasso, .rate = share};
    return recipe;
  }

  at::Tensor expected(const std::string& name) const { return tensors_.at("What/" + name); }

  // tr(d H d^T) of the input Hessian
  double trace(const at::Tensor& quantized) const {
    return damped_loss({weight_, tensors_.at("H").to(at::kDouble)}, quantized, 0);
  }

  // A sweep that the reference made too.
  void expect_same_loss(const std::string& name, const char* hessian, double damping) const {
    LinearRecipe swept = recipe(3, 32, false, 0.02);
    swept.objective = {.damping = damping};
    swept.order.static_groups = false;
    const Layer layer{weight_, tensors_.at(hessian).to(at::kDouble)};
    const LinearOutcome outcome = quantize(layer, swept);
    EXPECT_NEAR(outcome.loss / results_[name]["loss"].get<double>(), 1, kFloatLoss);
    const at::Tensor step = outcome.quantized.scales.max() * 0.01;
    const at::Tensor other = (dequantize(outcome.quantized) - expected(name)).abs() > step;
    EXPECT_LE(other.sum().item<int64_t>(), 22);  // 0.2 % of 11008
  }

  std::map<std::string, at::Tensor> tensors_;
  nlohmann::json results_;
  at::Tensor weight_;
};

TEST_F(GoldenSplit, AsymmetricWithoutDataIsTheReferencesWeightForWeight) {
  const auto linear =
      LinearSolver({}, recipe(3, 32, false, 0.02), 2).quantize(weight_.to(at::kFloat)).quantized;
  const at::Tensor other = expected("adpq_b3g32_asym");
  EXPECT_EQ(linear.split->members.sum().item<int64_t>(), 220);
  EXPECT_TRUE(((dequantize(linear) - other).abs() <= other.abs() * kFloat32).all().item<bool>());
}

TEST_F(GoldenSplit, MagnitudesOfOutliersAreTheReferences) {
  LinearRecipe coded = recipe(3, 64, true, 0.05);
  coded.grid.outlier_codes = OutlierCodes::kSignMagnitude;
  const auto linear = LinearSolver({}, coded, 2).quantize(weight_.to(at::kFloat)).quantized;
  const at::Tensor members = linear.split->members;
  const at::Tensor other = expected("adpq_b3g64_sym_signmag").masked_select(members);
  const at::Tensor found = dequantize(linear).masked_select(members);
  EXPECT_EQ(found.numel(), 550);
  EXPECT_TRUE(((found - other).abs() <= other.abs() * kFloat32).all().item<bool>());
}

// The reference's symmetric scale is max|w| / (2^(b-1) - 1), ours methods.md 4.1's.
TEST_F(GoldenSplit, SymmetricWithoutDataHasNoMoreErrorAtEqualBits) {
  for (const auto& [name, bits, codes] :
       {std::tuple{"adpq_b4g64_sym_a.05", 4, OutlierCodes::kUniform},
        std::tuple{"adpq_b3g64_sym_signmag", 3, OutlierCodes::kSignMagnitude}}) {
    LinearRecipe coded = recipe(bits, 64, true, 0.05);
    coded.grid.outlier_codes = codes;
    const auto linear = LinearSolver({}, coded, 2).quantize(weight_.to(at::kFloat)).quantized;
    const at::Tensor what = dequantize(linear), other = expected(name);
    EXPECT_LE(trace(what), results_[name]["trH"].get<double>()) << name;
    EXPECT_LE((what - weight_).norm().item<double>(), (other - weight_).norm().item<double>());
    EXPECT_NEAR(bits_per_weight(linear), results_[name]["avg"].get<double>(), kCount) << name;
  }
}

TEST_F(GoldenSplit, SweepOverTheInputHessianHasTheReferencesLoss) {
  expect_same_loss("precal_gptq_b3g32", "H", 0.01);
}

TEST_F(GoldenSplit, SweepOverAnEndLossHessianHasTheReferencesLoss) {
  expect_same_loss("precal_oac_b3g32", "Hoac", 0.1);
}

// Pre-calibration on SpQR's grid: the mask's weights beside a bilevel grid.
TEST_F(GoldenSplit, FrozenOutliersBesideABilevelGridHaveTheReferencesLoss) {
  LinearRecipe swept;
  swept.objective = {.damping = 1.0};
  swept.grid = {.kind = GridKind::kBilevel, .bits = 3, .group_size = 32};
  swept.outliers = {.kind = OutlierKind::kLasso, .rate = 0.01};
  swept.order = {OrderKind::kActivation, /*static_groups=*/false};
  const LinearOutcome outcome = quantize({weight_, tensors_.at("H").to(at::kDouble)}, swept);
  const auto& expected = results_["precal_spqr_b3g32"];
  EXPECT_EQ(outcome.quantized.outliers->count(), 110);
  EXPECT_NEAR(outcome.loss / expected["loss"].get<double>(), 1, kFloatLoss);
  EXPECT_NEAR(trace(dequantize(outcome.quantized)) / expected["trH"].get<double>(), 1, kFloatLoss);
  EXPECT_NEAR(bits_per_weight(outcome.quantized), expected["avg"].get<double>(), kCount * 32);
}

}  // namespace
}  // namespace halftone::testing
