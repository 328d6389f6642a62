// The bilevel grid by itself: methods.md 4.2 and methods.md 11, identities 19, 22, 23.
#include <cmath>
#include <functional>

#include "base/float16.h"
#include "layers.h"
#include "quantize/grid/bilevel.h"
#include "reference_spqr.h"

namespace halftone::testing {
namespace {

constexpr int64_t kGroup = 16;

LinearRecipe bilevel(int bits = 3) {
  LinearRecipe recipe;
  recipe.grid = {.kind = GridKind::kBilevel, .bits = bits, .group_size = kGroup};
  recipe.order = {OrderKind::kNatural, /*static_groups=*/false};
  return recipe;
}

LinearRecipe rounding_only(int bits = 3) {
  LinearRecipe recipe = bilevel(bits);
  recipe.objective.kind = ObjectiveKind::kNone;
  return recipe;
}

// Codes of a run as numbers.
std::vector<double> coded(const std::vector<double>& numbers, int top, bool positive,
                          size_t flexible = 0) {
  std::vector<RunMember> members;
  for (size_t i = 0; i < numbers.size(); ++i) members.push_back({numbers[i], i < flexible});
  std::vector<uint8_t> codes(numbers.size());
  const RunGrid grid = code_run(members, top, positive, codes.data());
  EXPECT_EQ(grid.step, nearest_float16(grid.step));
  EXPECT_EQ(grid.zero, nearest_float16(grid.zero));
  std::vector<double> values;
  for (const uint8_t code : codes) {
    EXPECT_LE(code, top);
    values.push_back(grid.value(code));
  }
  return values;
}

TEST(SecondLevel, EqualNumbersOfARunAreOneFloat16) {
  for (const double number : {0.0123, 1.0, 3e-6, 65504.0, -2.75})
    for (const double value : coded({number, number, number}, 7, number > 0))
      EXPECT_EQ(value, nearest_float16(number));
  for (const double value : coded({0.05, 0.05 * (1 + 0x1p-11)}, 7, true))
    EXPECT_NEAR(value, 0.05, 0.05 * 0x1p-10);
}

TEST(SecondLevel, NumbersFurtherApartTakeTheWholeRange) {
  const auto values = coded({0.1, 0.2, 0.47, 0.8}, 7, true);
  EXPECT_NEAR(values[0], 0.1, 1e-4);
  EXPECT_NEAR(values[1], 0.2, 1e-3);
  EXPECT_NEAR(values[2], 0.5, 1e-3);
  EXPECT_NEAR(values[3], 0.8, 1e-3);
}

TEST(SecondLevel, AConstantGroupDoesNotWidenItsRun) {
  const auto alone = coded({0.1, 0.2, 0.3}, 7, true);
  const auto beside = coded({5.0, 0.1, 0.2, 0.3}, 7, true, /*flexible=*/1);
  EXPECT_EQ(std::vector<double>(beside.begin() + 1, beside.end()), alone);
  EXPECT_EQ(beside[0], alone[2]);  // as near to 5 as the others leave it
}

TEST(SecondLevel, ScalesStayAboveZero) {
  const std::vector<std::vector<double>> runs = {{1e-30, 1.0},    {1e-30, 1e-29}, {1e-9, 6e4},
                                                 {0x1p-24, 2e-7}, {0, 0},         {1e30, 1e31}};
  for (const auto& run : runs)
    for (const double value : coded(run, 7, true, run[0] == 0 ? 2 : 0)) {
      EXPECT_GT(value, 0);
      EXPECT_TRUE(std::isfinite(value));
    }
}

TEST(SecondLevel, CodesAreThoseOfThePlainReference) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const bool positive = seed % 2 == 0;
    const at::Tensor drawn = normal({7}, seed) * std::ldexp(1, static_cast<int>(seed % 23) - 14);
    std::vector<double> numbers(drawn.const_data_ptr<double>(), drawn.const_data_ptr<double>() + 7);
    if (positive)
      for (double& number : numbers) number = std::abs(number);
    const int bits = 2 + static_cast<int>(seed % 7);
    EXPECT_EQ(coded(numbers, (1 << bits) - 1, positive),
              reference_second_level(numbers, std::vector<bool>(7), bits, positive))
        << seed;
  }
}

TEST(Float16, NearestIsThatOfTheLibraryButRoundedOnce) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const float x = normal({1}, seed)[0].item<float>() * std::ldexp(1.F, int(seed % 45) - 30);
    EXPECT_EQ(nearest_float16(x), at::scalar_tensor(x).to(at::kHalf).item<float>());
  }
  EXPECT_EQ(nearest_float16(1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-10F);  // float32 would lose the last
  EXPECT_EQ(nearest_float16(1e30), 65504);
  EXPECT_EQ(nearest_float16(0), 0);
}

// Identity 22: what was simulated is what the stored numbers give back, bit for bit.
TEST(BilevelGrid, SimulatedValuesAreTheDecodedOnes) {
  for (const bool integer_zeros : {false, true}) {
    LinearRecipe recipe = rounding_only(3);
    recipe.grid.round_zero = integer_zeros;
    const auto kernels = lane_kernels<float>();
    const Grouping grouping = group_columns({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            kGroup, /*static_groups=*/true);
    const at::Tensor tile = normal({kGroup, kLanes}, 3).to(at::kFloat) * 0.05;
    BilevelGrid<float> grid(recipe.grid, {.grouping = grouping,
                                          .out = kLanes,
                                          .rows = kLanes,
                                          .original = tile,
                                          .pivots = std::vector<float>(kGroup, 1),
                                          .dead = {},
                                          .kernels = kernels});
    grid.fit({0, 0, 0}, kGroup, tile.const_data_ptr<float>(), nullptr);
    at::Tensor codes = at::empty({kGroup, kLanes}, at::kByte), values = at::empty_like(tile);
    for (int64_t k = 0; k < kGroup; ++k)
      grid.round({k, 0, 0}, tile.const_data_ptr<float>() + k * kLanes,
                 codes.mutable_data_ptr<uint8_t>() + k * kLanes,
                 values.mutable_data_ptr<float>() + k * kLanes);
    QuantizedLinear linear;
    linear.bits = 3;
    linear.group_size = kGroup;
    linear.codes = codes.t().contiguous();
    grid.store(linear);
    EXPECT_EQ(linear.bilevel->zeros.has_value(), !integer_zeros);
    EXPECT_TRUE(at::equal(dequantize(linear), values.t()));
    // a reader has only float16 numbers and codes
    SecondLevel read = linear.bilevel->scales;
    read.steps = read.steps.to(at::kHalf).to(at::kFloat);
    read.zeros = read.zeros.to(at::kHalf).to(at::kFloat);
    EXPECT_TRUE(at::equal(reconstruct(read, linear.bilevel->run_size), linear.scales));
  }
}

TEST(BilevelGrid, AShortLastRunIsALinearOfItsOwn) {
  const Layer layer = random_layer(20, 48);
  const LinearRecipe recipe = bilevel();
  const QuantizedLinear all = quantize(layer, recipe).quantized;
  for (const auto& [begin, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 16}, {16, 4}}) {
    const Layer part{layer.weight.narrow(0, begin, count).contiguous(), layer.hessian};
    EXPECT_TRUE(
        at::equal(quantize(part, recipe).quantized.codes, all.codes.narrow(0, begin, count)));
  }
  EXPECT_EQ(all.bilevel->scales.steps.sizes(), (std::vector<int64_t>{2, 3}));
}

TEST(BilevelGrid, PaddingTakesNoPartInTheLoss) {
  const Layer layer = random_layer(5, 32);
  const LinearOutcome outcome = quantize(layer, bilevel());
  EXPECT_NEAR(outcome.loss / damped_loss(layer, dequantize(outcome.quantized), 0.01), 1, 1e-6);
}

TEST(BilevelGrid, CodesDoNotDependOnThreads) {
  const Layer layer = real_layer();
  const LinearOutcome one = quantize32(layer, bilevel(), 1),
                      three = quantize32(layer, bilevel(), 3);
  EXPECT_TRUE(at::equal(one.quantized.codes, three.quantized.codes));
  EXPECT_EQ(one.loss, three.loss);
}

// Identity 19.
TEST(BilevelGrid, DeadColumnsAreZeroThoughNoCodeSaysSo) {
  Layer layer = random_layer(16, 48);
  for (const int64_t dead : {3, 40}) {
    layer.hessian.select(0, dead).zero_();
    layer.hessian.select(1, dead).zero_();
  }
  const QuantizedLinear linear = quantize(layer, bilevel()).quantized;
  const at::Tensor weights = dequantize(linear);
  EXPECT_TRUE(at::equal(linear.dead_columns, at::tensor({3, 40}, at::kInt)));
  EXPECT_TRUE(weights.isfinite().all().item<bool>());
  EXPECT_EQ(weights.select(1, 3).abs().max().item<float>(), 0);
  EXPECT_EQ(weights.select(1, 40).abs().max().item<float>(), 0);
  LinearRecipe integers = bilevel();
  integers.grid.round_zero = true;
  const QuantizedLinear coded_zeros = quantize(layer, integers).quantized;
  EXPECT_FALSE(coded_zeros.dead_columns.defined());
  EXPECT_EQ(dequantize(coded_zeros).select(1, 3).abs().max().item<float>(), 0);
}

// Identity 23: rows of one run, each an awkward group.
TEST(BilevelGrid, DegenerateGroupsAreFiniteAndKeepTheirSign) {
  at::Tensor weight = normal({16, kGroup}, 5) * 0.05;
  weight[0].fill_(5.0);
  weight[1].zero_();
  weight[2][7] = 1e30;
  weight[3].fill_(-0.01);
  for (int64_t k = 0; k < kGroup; ++k) weight[4][k] = k % 2 == 0 ? 0.02 : -0.03;
  weight[5].mul_(1e-30);
  weight[6].mul_(1e-4).add_(1.0);
  for (const bool symmetric : {false, true})
    for (const int bits : {2, 3, 8}) {
      LinearRecipe recipe = rounding_only(bits);
      recipe.grid.symmetric = symmetric;
      for (const at::Tensor& one : {weight, weight.narrow(0, 0, 2), weight.narrow(0, 1, 1)}) {
        const auto linear = LinearSolver({}, recipe, 1).quantize(one).quantized;
        EXPECT_TRUE(linear.scales.gt(0).all().item<bool>());
        EXPECT_TRUE(dequantize(linear).isfinite().all().item<bool>());
      }
      const at::Tensor same =
          dequantize(LinearSolver({}, recipe, 1).quantize(at::full({4, kGroup}, 5.0)).quantized);
      EXPECT_LT((same - 5).abs().max().item<float>(), 0.01);
      const at::Tensor signs =
          dequantize(LinearSolver({}, recipe, 1).quantize(weight.narrow(0, 3, 2)).quantized);
      EXPECT_TRUE((signs * weight.narrow(0, 3, 2)).ge(0).all().item<bool>());
    }
}

TEST(BilevelGrid, CountsThePapersBits) {
  const auto bits_of = [](LinearRecipe recipe, int64_t group, double threshold) {
    recipe.objective.kind = ObjectiveKind::kNone;
    recipe.grid.group_size = group;
    if (threshold > 0) recipe.outliers = {.kind = OutlierKind::kSpqr, .tau = threshold};
    const Layer layer = random_layer(32, 64);
    const QuantizedLinear linear = LinearSolver({}, recipe, 1).quantize(layer.weight).quantized;
    return bits_per_weight(linear) - 32 * outlier_share(linear);
  };
  // methods.md 10: 3/3/3, 16, 16; 4/3/3; OAC's start
  EXPECT_DOUBLE_EQ(bits_of(bilevel(3), 16, 0.1), 3.625);
  EXPECT_DOUBLE_EQ(bits_of(bilevel(4), 16, 0), 4.625);
  EXPECT_DOUBLE_EQ(bits_of(bilevel(2), 64, 0), 2.15625);
  LinearRecipe recipe = bilevel(3);
  recipe.grid.round_zero = true;  // b + (bs + b)/g + 32/(g g2)
  EXPECT_DOUBLE_EQ(bits_of(recipe, 16, 0), 3 + 6 / 16.0 + 32 / 256.0);
  recipe.grid.symmetric = true;  // b + bs/g + 32/(g g2)
  EXPECT_DOUBLE_EQ(bits_of(recipe, 16, 0), 3 + 3 / 16.0 + 32 / 256.0);
}

}  // namespace
}  // namespace halftone::testing
