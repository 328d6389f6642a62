// Results of a slow reference, and of the public SpQR code where its set says so, made outside this
// project (golden/methods/outliers.*): stories260K, down_proj of block 3.
#include <fstream>

#include "layers.h"

namespace halftone::testing {
namespace {

constexpr double kLoss = 1e-3;  // of results that are stored in float32
const char* const kFile = "golden/methods/outliers.safetensors";

LinearRecipe recipe_of(const nlohmann::json& o) {
  LinearRecipe recipe;
  recipe.objective.damping = o["percdamp"];
  recipe.grid = {.kind = GridKind::kBilevel, .bits = o["bits"], .group_size = o["g"]};
  recipe.grid.symmetric = o.value("sym", false);
  recipe.grid.round_zero = o.value("round_zero", false);
  if (o.contains("tau"))
    recipe.outliers = {.kind = OutlierKind::kSpqr,
                       .tau = o["tau"],
                       .rate = 0,
                       .simplified = o.value("simplified", false)};
  recipe.order = {o.value("order", "") == "identity" ? OrderKind::kNatural : OrderKind::kActivation,
                  /*static_groups=*/false};
  return recipe;
}

class GoldenOutliers : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Sets, GoldenOutliers,
                         ::testing::Values("spqr_b3g16_norate", "spqr_b3g16_tau.2",
                                           "spqr_b2g16_tau.5", "spqr_b3g16_tau.2_upstream",
                                           "spqr_b2g32_tau1_identity", "spqr_b3g32_simplified",
                                           "spqr_b3g32_sym", "spqr_b4g32_roundzero",
                                           "oac_b2g32_tau.7", "oac_b3g16_tau.3_pd1"));

TEST_P(GoldenOutliers, MasksAndWeightsAreTheReferences) {
  HALFTONE_REQUIRE_SHARED(kFile);
  const auto tensors = read_safetensors(shared_data(kFile));
  std::ifstream file(shared_data("golden/methods/outliers.json"));
  const auto options = nlohmann::json::parse(file).at("methods").at(GetParam()).at("options");
  const std::string name = GetParam();
  const Layer layer{tensors.at("W").to(at::kDouble),
                    tensors.at(name.starts_with("oac") ? "Hoac" : "H").to(at::kDouble)};
  const LinearOutcome outcome = quantize(layer, recipe_of(options));
  const QuantizedLinear& linear = outcome.quantized;
  const at::Tensor found = dequantize(linear), expected = tensors.at("What/" + name);
  const double loss = damped_loss(layer, found, options["percdamp"]);
  EXPECT_NEAR(loss / damped_loss(layer, expected, options["percdamp"]), 1, kLoss);
  if (options.contains("tau")) {
    EXPECT_TRUE(at::equal(mask_of(linear), tensors.at("mask/" + name).to(at::kBool)));
  }
  if (options.contains("parity")) return;  // the public code's second level is in float32
  const at::Tensor least_step = std::get<0>(linear.scales.min(1, /*keepdim=*/true));
  EXPECT_EQ(((found - expected).abs() > 0.01 * least_step).sum().item<int64_t>(), 0);
}

}  // namespace
}  // namespace halftone::testing
