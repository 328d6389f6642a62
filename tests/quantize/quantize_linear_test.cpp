// LinearSolver at its edges: dead columns, degenerate groups, the failure ladder, options;
// methods.md 11, identities 19, 21 and 23.
#include "base/error.h"
#include "layers.h"
#include "quantize/linear_solver.h"

namespace halftone::testing {
namespace {

LinearRecipe recipe_of(int bits, int64_t group, bool symmetric, bool clip_search = false) {
  LinearRecipe recipe;
  recipe.grid.bits = bits;
  recipe.grid.group_size = group;
  recipe.grid.symmetric = symmetric;
  recipe.grid.clip_search = clip_search;
  return recipe;
}

LinearRecipe without_objective(LinearRecipe recipe) {
  recipe.objective.kind = ObjectiveKind::kNone;
  return recipe;
}

at::Tensor round_to_nearest(const at::Tensor& weight, const LinearRecipe& recipe) {
  return dequantize(LinearSolver({}, without_objective(recipe), 1).quantize(weight).quantized);
}

// Identity 19.
TEST(DeadColumns, BecomeZeroAndChangeNothingElse) {
  for (const bool symmetric : {false, true})
    for (const OrderKind order : {OrderKind::kNatural, OrderKind::kActivation})
      for (const bool static_groups : {false, true}) {
        LinearRecipe recipe = recipe_of(3, 64, symmetric, true);
        recipe.order = {order, static_groups};
        Layer layer = random_layer(18, 172, 30);
        for (const int64_t dead : {5, 64, 100}) {
          layer.hessian.select(0, dead).zero_();
          layer.hessian.select(1, dead).zero_();
        }
        const LinearOutcome outcome = quantize(layer, recipe);
        const at::Tensor what = dequantize(outcome.quantized);
        EXPECT_TRUE(at::isfinite(what).all().item<bool>());
        for (const int64_t dead : {5, 64, 100})
          EXPECT_EQ(what.select(1, dead).abs().max().item<float>(), 0);
        Layer other = layer;
        other.weight = layer.weight.clone();
        other.weight.select(1, 64).fill_(1e6);  // whatever was there
        EXPECT_TRUE(dequantize(quantize(other, recipe).quantized).equal(what));
        EXPECT_EQ(count_differing(outcome.quantized.codes, reference_of(layer, recipe).codes), 0);
      }
}

// Identity 23.
class DegenerateGroup : public ::testing::TestWithParam<std::tuple<int, bool, bool>> {
 protected:
  const LinearRecipe recipe_ =
      recipe_of(std::get<0>(GetParam()), 32, std::get<1>(GetParam()), std::get<2>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(BitsSymmetrySearch, DegenerateGroup,
                         ::testing::Combine(::testing::Values(2, 3, 4, 8), ::testing::Bool(),
                                            ::testing::Bool()));

TEST_P(DegenerateGroup, ConstantIsHitUpToTheRoundingOfTheScale) {
  for (const double value : {5.0, -5.0, 1.0 / 3, -1e-3, 300.0}) {
    const at::Tensor weight = at::full({3, 80}, value, at::kDouble);
    const at::Tensor what = round_to_nearest(weight, recipe_).to(at::kDouble);
    EXPECT_LE(((what - weight) / weight).abs().max().item<double>(), 1.0 / 128) << value;
  }
}

TEST_P(DegenerateGroup, AllZeroStaysZeroWithTheLeastScale) {
  const QuantizedLinear linear =
      LinearSolver({}, without_objective(recipe_), 1).quantize(at::zeros({3, 80})).quantized;
  EXPECT_EQ(dequantize(linear).abs().max().item<float>(), 0);
  EXPECT_EQ(linear.scales.max().item<float>(), 0x1p-14F);
  EXPECT_TRUE(linear.codes.equal(linear.zeros.select(1, 0).unsqueeze(1).expand({3, 80})));
}

TEST_P(DegenerateGroup, OneHugeElementKeepsItsSignAndSize) {
  if (recipe_.grid.clip_search) return;  // the search may well give the huge one up
  for (const double huge : {1e4, -1e4}) {
    at::Tensor weight = normal({1, 32}, 3) * 0.01;
    weight.select(1, 9).fill_(huge);
    const at::Tensor what = round_to_nearest(weight, recipe_).to(at::kDouble);
    EXPECT_TRUE(at::isfinite(what).all().item<bool>());
    const double share = what.select(1, 9).item<double>() / huge;
    const double half_step =
        0.51 / ((1 << recipe_.grid.bits) - 1) * (recipe_.grid.symmetric ? 2 : 1);
    EXPECT_NEAR(share, 1, half_step);  // symmetric: a tie of the two outermost codes
  }
}

TEST_P(DegenerateGroup, TwoLevelsKeepTheirSigns) {
  at::Tensor weight = at::full({1, 64}, 0.25, at::kDouble);
  weight.narrow(1, 0, 20).fill_(-0.25);
  const at::Tensor what = round_to_nearest(weight, recipe_).to(at::kDouble);
  EXPECT_TRUE(at::isfinite(what).all().item<bool>());
  EXPECT_TRUE((what * weight >= 0).all().item<bool>());
}

TEST_P(DegenerateGroup, SweepOverThemIsFinite) {
  Layer layer = random_layer(5, 96, 40);
  layer.weight.select(0, 0).fill_(5.0);
  layer.weight.select(0, 1).zero_();
  layer.weight.select(0, 2).narrow(0, 0, 1).fill_(1e4);
  const LinearOutcome outcome = quantize(layer, recipe_);
  EXPECT_TRUE(at::isfinite(dequantize(outcome.quantized)).all().item<bool>());
  EXPECT_EQ(count_differing(outcome.quantized.codes, reference_of(layer, recipe_).codes), 0);
}

// Identity 21 for the tensors themselves; formats have their own tests.
TEST(Dequantize, IsOneFloat32ProductOfScaleAndStep) {
  LinearRecipe recipe = recipe_of(4, 64, false);
  recipe.grid.scale_bits = 0;
  recipe.order = {OrderKind::kActivation, false};
  const QuantizedLinear linear = quantize(real_layer(), recipe).quantized;
  const at::Tensor what = dequantize(linear);
  ASSERT_EQ(what.scalar_type(), at::kFloat);
  for (int64_t row = 0; row < linear.out(); ++row)
    for (int64_t column = 0; column < linear.in(); ++column) {
      const int group = linear.group_of_column[column].item<int>();
      const float scale = linear.scales[row][group].item<float>();
      const int step = linear.codes[row][column].item<int>() - linear.zeros[row][group].item<int>();
      ASSERT_EQ(what[row][column].item<float>(), scale * static_cast<float>(step));
    }
}

TEST(BitsPerWeight, CountsScalesZerosAndTheGroupIndex) {
  const auto bits = [](int code_bits, int64_t in, int64_t group, bool symmetric, bool index) {
    QuantizedLinear linear;
    linear.bits = code_bits;
    linear.group_size = group;
    linear.symmetric = symmetric;
    linear.codes = at::zeros({4096, in}, at::kByte);
    linear.scales = at::ones({4096, (in + group - 1) / group});
    if (index) linear.group_of_column = at::zeros({in}, at::kInt);
    return bits_per_weight(linear);
  };
  EXPECT_DOUBLE_EQ(bits(4, 4096, 128, true, false), 4.125);  // methods.md 10
  EXPECT_DOUBLE_EQ(bits(4, 4096, 128, false, false), 4.15625);
  EXPECT_DOUBLE_EQ(bits(2, 4096, 64, false, false), 2.28125);
  EXPECT_DOUBLE_EQ(bits(4, 4096, 128, true, true), 4.125 + 0.0078125);
  EXPECT_DOUBLE_EQ(bits(4, 172, 64, true, false), 4 + 16 * 3 / 172.0);
}

TEST(Scales, KeepTheStatedBitsAndStayNormalInFloat16) {
  const auto significant_bits = [](const LinearRecipe& recipe) {
    const at::Tensor scales = quantize(real_layer(), recipe).quantized.scales.contiguous();
    int most = 0;
    for (int64_t i = 0; i < scales.numel(); ++i) {
      int exponent = 0;
      auto kept = static_cast<uint64_t>(
          std::ldexp(std::frexp(scales.const_data_ptr<float>()[i], &exponent), 24));
      int bits = 24;
      for (; kept % 2 == 0; kept /= 2) --bits;
      most = std::max(most, bits);
    }
    return most;
  };
  EXPECT_EQ(significant_bits(recipe_of(4, 64, false)), 7);
  EXPECT_EQ(significant_bits(recipe_of(4, 64, true)), 8);
  EXPECT_EQ(significant_bits(recipe_of(3, 64, false)), 8);
  EXPECT_EQ(significant_bits(recipe_of(5, 64, false)), 8);
  LinearRecipe eleven = recipe_of(4, 32, false);
  eleven.grid.scale_bits = 11;
  EXPECT_EQ(significant_bits(eleven), 11);
}

TEST(ZeroMin, EveryZeroIsAtLeastThatAndTheRangeIsStillCovered) {
  for (const int bits : {2, 4, 8}) {
    LinearRecipe recipe = without_objective(recipe_of(bits, 32, false));
    recipe.grid.zero_min = 1;
    const at::Tensor weight = normal({16, 96}, 2).abs();  // would have zero 0
    const QuantizedLinear linear = LinearSolver({}, recipe, 1).quantize(weight).quantized;
    EXPECT_EQ(linear.zeros.min().item<int>(), 1);
    const at::Tensor miss = (dequantize(linear) - weight.to(at::kFloat)).abs();
    // a rounded scale may fall short of the range by 2^-7 of it
    const at::Tensor step = linear.scales.repeat_interleave(32, 1);
    EXPECT_TRUE((miss <= step * (0.5 + std::ldexp(1.0, bits - 7))).all().item<bool>());
  }
}

TEST(Ladder, SingularHessianIsRescuedByDamping) {
  Layer layer = random_layer(8, 64, 50);
  const at::Tensor x = normal({3, 64}, 51);
  layer.hessian = x.t().matmul(x);  // rank 3
  const LinearOutcome outcome = quantize(layer, recipe_of(4, 32, false));
  EXPECT_GT(outcome.damping, 0);
  EXPECT_TRUE(at::isfinite(dequantize(outcome.quantized)).all().item<bool>());
}

TEST(Ladder, IndefiniteHessianFallsBackToItsDiagonal) {
  Layer layer = random_layer(8, 64, 50);
  layer.hessian =
      at::eye(64, at::kDouble) + 50 * (at::ones({64, 64}, at::kDouble) - at::eye(64, at::kDouble));
  const LinearRecipe recipe = recipe_of(4, 32, false);
  const LinearOutcome outcome = quantize(layer, recipe);
  EXPECT_NE(outcome.fallback.find("damping 10 (pivot"), std::string::npos) << outcome.fallback;
  EXPECT_NE(outcome.fallback.find("diagonal Hessian, no compensation"), std::string::npos)
      << outcome.fallback;
  EXPECT_TRUE(dequantize(outcome.quantized).equal(round_to_nearest(layer.weight, recipe)));
}

TEST(Ladder, NanOffTheDiagonalFallsBackAndTheLossesStayNumbers) {
  Layer layer = random_layer(8, 64, 50);
  layer.hessian[3][5] = layer.hessian[5][3] = static_cast<double>(NAN);
  const LinearOutcome outcome = quantize(layer, recipe_of(4, 32, false));
  EXPECT_NE(outcome.fallback.find("diagonal Hessian, no compensation"), std::string::npos)
      << outcome.fallback;
  EXPECT_TRUE(std::isfinite(outcome.loss) && std::isfinite(outcome.relative_error));
}

TEST(Ladder, UnusableDiagonalFallsBackToRoundToNearest) {
  Layer layer = random_layer(8, 64, 50);
  const LinearRecipe recipe = recipe_of(3, 32, true, true);
  for (const at::Tensor& hessian :
       {at::full({64, 64}, NAN, at::kDouble), at::zeros({64, 64}, at::kDouble), -layer.hessian}) {
    const LinearOutcome outcome = LinearSolver({hessian, 1}, recipe, 1).quantize(layer.weight32());
    EXPECT_EQ(outcome.fallback.rfind("round to nearest", 0), 0) << outcome.fallback;
    EXPECT_TRUE(dequantize(outcome.quantized).equal(round_to_nearest(layer.weight32(), recipe)));
    EXPECT_TRUE(std::isfinite(outcome.loss) && std::isfinite(outcome.relative_error));
  }
}

TEST(Ladder, WeightsThatMoveTooFarAreSweptAgainWithMoreDamping) {
  // column 0 is 1000 times the difference of two nearly equal later ones: what rounding it costs
  // can be made up for, with hardly any damping, by a thousand times as much on those two
  at::Tensor x = normal({400, 96}, 61);
  x.select(1, 41).copy_(x.select(1, 40) - 1e-3 * x.select(1, 0));
  Layer layer{normal({16, 96}, 60), x.t().matmul(x)};
  LinearRecipe recipe = recipe_of(8, 0, true);
  recipe.objective.damping = 1e-9;
  const LinearOutcome outcome = quantize(layer, recipe);
  EXPECT_NE(outcome.fallback.find("times as far as by rounding to nearest"), std::string::npos)
      << outcome.fallback;
  EXPECT_GT(outcome.damping, 1e-9);
  const at::Tensor moved = dequantize(outcome.quantized).to(at::kDouble) - layer.weight;
  const at::Tensor nearest = round_to_nearest(layer.weight, recipe).to(at::kDouble) - layer.weight;
  EXPECT_LE((moved.norm() / nearest.norm()).item<double>(), 4);
}

TEST(Precision, Float32FactorHasTheLossOfTheFloat64One) {
  const Layer layer = random_layer(64, 2304, 70);  // wide enough to be factored in float32
  const LinearRecipe recipe = recipe_of(4, 128, false);
  const LinearOutcome single = quantize32(layer, recipe), exact = quantize(layer, recipe);
  EXPECT_NEAR(damped_loss(layer, dequantize(single.quantized), 0.01) / exact.loss, 1, 1e-4);
  EXPECT_NEAR(single.relative_error / exact.relative_error, 1, 1e-3);
}

TEST(RoundToNearest, LossIsTheSquaredDistanceAndNeedsNoStatistics) {
  const at::Tensor weight =
      normal({900, 1720}, 80);  // large enough for careless float32 sums to show
  const LinearOutcome outcome =
      LinearSolver({}, without_objective(recipe_of(3, 64, false)), 2).quantize(weight);
  const at::Tensor d = dequantize(outcome.quantized).to(at::kDouble) - weight;
  EXPECT_NEAR(outcome.loss / (d * d).sum().item<double>(), 1, 1e-5);
  EXPECT_NEAR(outcome.relative_error / ((d * d).sum() / (weight * weight).sum()).item<double>(), 1,
              1e-5);
  EXPECT_EQ(outcome.fallback, "");
}

TEST(DiagonalObjective, RoundsEachWeightByItselfAndIsNoFallback) {
  Layer layer = random_layer(17, 64, 90);
  LinearRecipe recipe = recipe_of(3, 32, false);
  recipe.objective.kind = ObjectiveKind::kDiagonal;
  const LinearOutcome outcome = quantize(layer, recipe);  // off the diagonal nothing is read
  EXPECT_TRUE(dequantize(outcome.quantized).equal(round_to_nearest(layer.weight, recipe)));
  EXPECT_EQ(outcome.fallback, "");
}

TEST(Weights, OfEveryFloatingTypeAndLayoutAreTaken) {
  const Layer layer = random_layer(17, 64, 90);
  const LinearSolver solver(layer.statistics32(), recipe_of(4, 32, false), 2);
  const at::Tensor half = layer.weight.to(at::kBFloat16);
  const at::Tensor expected = solver.quantize(half.to(at::kFloat)).quantized.codes;
  EXPECT_TRUE(solver.quantize(half).quantized.codes.equal(expected));
  EXPECT_TRUE(solver.quantize(half.t().contiguous().t()).quantized.codes.equal(expected));
}

TEST(Errors, SayWhatWasExpected) {
  const Layer layer = random_layer(4, 16, 90);
  EXPECT_EQ(message_of([&] { LinearSolver({}, {}, 1); }),
            "objective.kind: a Hessian is asked for, but the statistics hold none");
  const LinearSolver solver(layer.statistics(), recipe_of(4, 8, false), 1);
  EXPECT_EQ(message_of([&] {
              (void)solver.quantize(at::zeros({4, 15}));
            }),
            "weight: 15 input columns, but the Hessian was gathered for 16");
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    at::Tensor weight = layer.weight.clone();
    weight[2][3] = bad;
    EXPECT_EQ(
        message_of([&] { (void)solver.quantize(weight); }),
        "weight: holds NaN or infinite values (damaged file, or float16 overflow on conversion)");
  }
}

}  // namespace
}  // namespace halftone::testing
