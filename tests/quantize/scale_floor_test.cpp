// How small weights may be: nothing but their size changes on the way down to what the type of the
// scales holds, and from there on the report says so.
#include "quantize/scale_floor.h"

#include <cmath>

#include "layers.h"

namespace halftone::testing {
namespace {

struct Small {
  LinearRecipe recipe;
  bool float16;  // the type of what is stored
};

Small uniform(int bits, bool symmetric, bool float16) {
  LinearRecipe recipe;
  recipe.grid.bits = bits;
  recipe.grid.group_size = 32;
  recipe.grid.symmetric = symmetric;
  recipe.grid.clip_search = bits < 8;
  recipe.grid.float16_scales = float16;
  return {recipe, float16};
}

Small split(OutlierCodes codes) {
  Small small = uniform(4, false, false);
  small.recipe.grid.kind = GridKind::kSplit;
  small.recipe.grid.outlier_codes = codes;
  small.recipe.outliers = {.kind = OutlierKind::kLasso, .rate = 0.05};
  return small;
}

Small bilevel() {
  Small small = uniform(3, false, true);
  small.recipe.grid.kind = GridKind::kBilevel;
  small.recipe.grid.group_size = 16;
  small.recipe.grid.clip_search = false;
  return small;
}

Small binary(int scale_bits) {
  Small small = uniform(1, false, scale_bits != 0);
  small.recipe.grid.kind = GridKind::kBinary;
  small.recipe.grid.clip_search = false;
  small.recipe.grid.scale_bits = scale_bits;
  return small;
}

std::vector<Small> kinds() {
  return {uniform(4, true, false),
          uniform(8, false, false),
          uniform(4, false, true),
          uniform(8, true, true),
          split(OutlierCodes::kUniform),
          split(OutlierCodes::kSignMagnitude),
          bilevel(),
          binary(0),
          binary(11)};
}

LinearOutcome quantize_times(const Layer& layer, double factor, const LinearRecipe& recipe) {
  return LinearSolver(layer.statistics32(), recipe, 1)
      .quantize((layer.weight * factor).to(at::kFloat));
}

class SmallWeights : public ::testing::TestWithParam<size_t> {
 protected:
  const Small small_ = kinds()[GetParam()];
  const Layer layer_ = random_layer(20, 96, 8);  // of std 0.05
};
INSTANTIATE_TEST_SUITE_P(AllGrids, SmallWeights, ::testing::Range<size_t>(0, 9));

TEST_P(SmallWeights, AreQuantizedLikeOthersAsFarAsTheTypeGoes) {
  const LinearOutcome whole = quantize_times(layer_, 1, small_.recipe);
  EXPECT_EQ(whole.fallback, "");
  for (const int k : {4, 20, 40}) {
    const LinearOutcome outcome = quantize_times(layer_, std::ldexp(1, -k), small_.recipe);
    if (small_.float16 && k > 4) continue;
    if (!small_.float16) {
      EXPECT_EQ(outcome.fallback, "");
    }
    EXPECT_NEAR(outcome.relative_error, whole.relative_error, 0.25 * whole.relative_error) << k;
  }
}

TEST_P(SmallWeights, TooSmallForTheirScalesAreReported) {
  const double too_small = small_.float16 ? 1e-7 : 1e-38;
  const LinearOutcome outcome = quantize_times(layer_, too_small, small_.recipe);
  EXPECT_NE(outcome.fallback.find("groups have weights too small for"), std::string::npos)
      << outcome.fallback;
  EXPECT_TRUE(at::isfinite(dequantize(outcome.quantized)).all().item<bool>());
}

TEST_P(SmallWeights, OfZeroAreNotOnes) {
  Layer layer = layer_;
  layer.weight.narrow(0, 3, 2).zero_();
  layer.weight.narrow(1, 32, 32).zero_();
  EXPECT_EQ(quantize_times(layer, 1, small_.recipe).fallback, "");
  EXPECT_EQ(quantize_times(layer, 0, small_.recipe).fallback, "");
}

TEST(ScaleFloor, CountsTheGroupsWhoseScalesHaveLostBits) {
  at::Tensor weight = normal({4, 64}, 1).to(at::kFloat) * 0.05;
  weight[1].narrow(0, 32, 32).mul_(1e-5);
  weight[3].mul_(1e-6);
  LinearRecipe recipe = uniform(8, true, true).recipe;
  recipe.objective.kind = ObjectiveKind::kNone;
  const LinearOutcome outcome = LinearSolver({}, recipe, 1).quantize(weight);
  EXPECT_EQ(outcome.fallback, "3 of 8 groups have weights too small for float16 scales");
  recipe.grid.float16_scales = false;
  EXPECT_EQ(LinearSolver({}, recipe, 1).quantize(weight).fallback, "");
}

}  // namespace
}  // namespace halftone::testing
