// The sweep against the plain reference, and methods.md 11, identities 2, 3, 7, 18, 20, 25.
#include "quantize/sweep.h"

#include <fmt/format.h>

#include "layers.h"
#include "quantize/grid/uniform.h"
#include "quantize/tiles.h"

namespace halftone::testing {
namespace {

constexpr double kExact = 1e-9;      // float64, relative
constexpr double kFloatLoss = 1e-3;  // methods.md 7.4

struct Variant {
  std::string name;
  LinearRecipe recipe;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

// Every order and grouping with 3 bits searched and 4 bits not; 2 and 8 bits once. 172 = 3 x 44 +
// 40 = 2 x 64 + 44.
std::vector<Variant> variants() {
  std::vector<Variant> result;
  const auto add = [&](int bits, int64_t group, bool symmetric, bool activation,
                       bool static_groups) {
    LinearRecipe recipe;
    recipe.grid.bits = bits;
    recipe.grid.group_size = group;
    recipe.grid.symmetric = symmetric;
    recipe.grid.clip_search = bits < 4;
    recipe.order.kind = activation ? OrderKind::kActivation : OrderKind::kNatural;
    recipe.order.static_groups = static_groups;
    if (bits == 8) recipe.objective.damping_reference = DampingReference::kMedian;
    result.push_back(
        {fmt::format("b{}g{}_{}_{}_{}", bits, group, symmetric ? "symmetric" : "asymmetric",
                     activation ? "activation" : "natural", static_groups ? "static" : "dynamic"),
         recipe});
  };
  for (const bool symmetric : {false, true}) {
    for (const bool activation : {false, true})
      for (const bool static_groups : {false, true}) {
        add(3, 44, symmetric, activation, static_groups);
        add(4, 64, symmetric, activation, static_groups);
      }
    add(4, 0, symmetric, true, true);
    add(2, 64, symmetric, true, false);
    add(8, 44, symmetric, false, true);
  }
  const auto vary = [&](const std::string& base, const std::string& name, auto&& change) {
    const auto found = std::find_if(result.begin(), result.end(),
                                    [&](const Variant& variant) { return variant.name == base; });
    Variant variant{base + name, found->recipe};
    change(variant.recipe.grid);
    result.push_back(variant);
  };
  for (const char* base : {"b2g64_symmetric_activation_dynamic", "b3g44_symmetric_natural_static",
                           "b4g64_symmetric_activation_static"})
    vary(base, "_signed", [](GridOptions& grid) { grid.signed_scale = true; });
  for (const char* base : {"b2g64_asymmetric_activation_dynamic", "b3g44_symmetric_natural_static",
                           "b3g44_asymmetric_activation_static"})
    vary(base, "_weighted", [](GridOptions& grid) { grid.clip_weights = ClipWeights::kFactor; });
  return result;
}

class SweepVariant : public ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(All, SweepVariant, ::testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

TEST_P(SweepVariant, CodesAreThoseOfThePlainReferenceOnARandomLayer) {
  const Layer layer = random_layer(21, 172);
  const ReferenceResult expected = reference_of(layer, GetParam().recipe);
  const LinearOutcome outcome = quantize(layer, GetParam().recipe);
  EXPECT_EQ(count_differing(outcome.quantized.codes, expected.codes), 0);
  EXPECT_NEAR(outcome.loss / expected.loss, 1, kExact);
  EXPECT_EQ(outcome.fallback, "");
}

TEST_P(SweepVariant, CodesAreThoseOfThePlainReferenceOnARealLayer) {
  const Layer layer = real_layer();
  const ReferenceResult expected = reference_of(layer, GetParam().recipe);
  const LinearOutcome outcome = quantize(layer, GetParam().recipe);
  EXPECT_EQ(count_differing(outcome.quantized.codes, expected.codes), 0);
  EXPECT_NEAR(outcome.loss / expected.loss, 1, kExact);
}

TEST_P(SweepVariant, Float32HasTheSameLoss) {
  const Layer layer = real_layer();
  const double expected = quantize(layer, GetParam().recipe).loss;
  const LinearOutcome outcome = quantize32(layer, GetParam().recipe);
  // a symmetric tie (methods.md 4.1) falls one way or the other where scales are coarse
  EXPECT_NEAR(outcome.loss / expected, 1, GetParam().recipe.grid.bits == 8 ? 0.02 : kFloatLoss * 5);
}

// Identity 2.
TEST_P(SweepVariant, SumOfSquaredErrorsIsTheDampedLoss) {
  if (GetParam().recipe.objective.damping_reference == DampingReference::kMedian) return;
  const Layer layer = random_layer(16, 172, 9);
  const LinearOutcome outcome = quantize(layer, GetParam().recipe);
  const at::Tensor what = dequantize(outcome.quantized);
  EXPECT_NEAR(outcome.loss / damped_loss(layer, what, 0.01), 1,
              1e-6);  // dequantize multiplies in float32
  const at::Tensor d = layer.weight - what.to(at::kDouble);
  const double relative = ((d.matmul(layer.hessian) * d).sum() /
                           (layer.weight.matmul(layer.hessian) * layer.weight).sum())
                              .item<double>();
  EXPECT_NEAR(outcome.relative_error / relative, 1, 1e-5);
}

// Identity 3, first half.
TEST_P(SweepVariant, IdentityHessianEqualsRoundToNearest) {
  LinearRecipe recipe = GetParam().recipe;
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor weight = random_layer(24, 172, 3).weight.to(type);
    const LinearStatistics statistics{at::eye(172, type), 1};
    const QuantizedLinear swept = LinearSolver(statistics, recipe, 2).quantize(weight).quantized;
    LinearRecipe plain = recipe;
    plain.objective.kind = ObjectiveKind::kNone;
    plain.order.kind = OrderKind::kNatural;  // equal diagonals: every order by activation is that
    const QuantizedLinear nearest =
        LinearSolver({}, plain, 2).quantize(weight.to(at::kFloat)).quantized;
    if (type == at::kDouble && recipe.grid.clip_search) continue;  // searched in another precision
    EXPECT_TRUE(swept.codes.equal(nearest.codes));
    EXPECT_TRUE(swept.scales.equal(nearest.scales));
    EXPECT_TRUE(swept.zeros.equal(nearest.zeros));
  }
}

// Identity 3, second half.
TEST_P(SweepVariant, PowersOfTwoOfTheHessianChangeNoBitAlsoWithDeadColumns) {
  Layer layer = random_layer(20, 172, 4);
  for (const int64_t dead : {0, 7, 171}) {
    layer.hessian.select(0, dead).zero_();
    layer.hessian.select(1, dead).zero_();
  }
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor hessian = layer.hessian.to(type), weight = layer.weight.to(type);
    const auto codes = [&](double factor) {
      return LinearSolver({hessian * factor, 1}, GetParam().recipe, 2)
          .quantize(weight)
          .quantized.codes;
    };
    const at::Tensor expected = codes(1);
    for (const double factor : {0.5, 2.0, 4096.0, 0x1p-31})
      EXPECT_TRUE(codes(factor).equal(expected)) << factor;
  }
}

// Identity 25.
TEST_P(SweepVariant, AnyNumberOfThreadsGivesTheSameCodes) {
  const Layer layer = random_layer(70, 172, 6);
  const LinearOutcome expected = quantize(layer, GetParam().recipe, 1);
  const LinearOutcome expected32 = quantize32(layer, GetParam().recipe, 1);
  for (const int threads : {2, 5}) {
    const LinearOutcome found = quantize(layer, GetParam().recipe, threads);
    EXPECT_TRUE(found.quantized.codes.equal(expected.quantized.codes));
    EXPECT_TRUE(found.quantized.scales.equal(expected.quantized.scales));
    EXPECT_EQ(found.loss, expected.loss);
    EXPECT_TRUE(quantize32(layer, GetParam().recipe, threads)
                    .quantized.codes.equal(expected32.quantized.codes));
  }
}

// Codes of a sweep with lazy blocks of a given width.
at::Tensor codes_by_block(const Layer& layer, const Grouping& grouping, int64_t block) {
  const UniformRule rule = uniform_rule({.bits = 3, .clip_search = true});
  const LaneKernels<double> kernels = lane_kernels<double>();
  SweepTask<double> task{.grouping = grouping,
                         .original = to_sweep_layout<double>(layer.weight, grouping.columns, 1),
                         .block = block,
                         .threads = 2};
  task.importance.assign(grouping.columns.size(), 1);
  const HessianDiagonal diagonal = diagonal_of(layer.hessian, DampingReference::kMean);
  task.upper = factor_inverse(layer.hessian, diagonal, grouping.columns, 0.01, at::kDouble).upper;
  UniformGrid<double> grid(rule, kernels, grouping.groups, task.original.size(1));
  if (!grouping.refit) fit_static_groups(task, grid);
  return sweep(task, grid, kernels).codes;
}

// Two groups that the sweep knows of are one of the grid inside.
class PairsOfGroups final : public Grid<double> {
 public:
  PairsOfGroups(const UniformRule& rule, const LaneKernels<double>& kernels,
                const Grouping& grouping, int64_t rows)
      : group_size_(grouping.group_size), inner_(rule, kernels, (grouping.groups + 1) / 2, rows) {}
  int64_t fit_columns() const override { return 2 * group_size_; }
  void fit(Place at, int64_t columns, const double* tile, const double* importance) override {
    EXPECT_EQ(at.group % 2, 0);
    inner_.fit(of_pair(at), columns, tile, importance);
  }
  void round(Place at, const double* weights, uint8_t* codes, double* values) override {
    inner_.round(of_pair(at), weights, codes, values);
  }
  void store(QuantizedLinear& linear) const override { inner_.store(linear); }

 private:
  static Place of_pair(Place at) { return {at.position, at.group / 2, at.row}; }
  int64_t group_size_;
  UniformGrid<double> inner_;
};

// What a super-block of 256 columns asks for.
TEST(Sweep, GroupsAreFittedTogetherWhereTheGridAsksForIt) {
  const Layer layer = random_layer(20, 300, 9);
  const HessianDiagonal diagonal = diagonal_of(layer.hessian, DampingReference::kMean);
  const auto kernels = lane_kernels<double>();
  const UniformRule rule = uniform_rule({.bits = 3});
  for (const OrderKind order : {OrderKind::kNatural, OrderKind::kActivation})
    for (const bool static_groups : {true, false}) {
      const auto columns = column_order(order, diagonal.values);
      const Grouping halves = group_columns(columns, 20, static_groups),
                     pairs = group_columns(columns, 40, static_groups);
      const at::Tensor original = to_sweep_layout<double>(layer.weight, columns, 1);
      const Factor factor = factor_inverse(layer.hessian, diagonal, columns, 0.01, at::kDouble);
      const auto codes = [&](const Grouping& grouping, Grid<double>& grid) {
        SweepTask<double> task{.grouping = grouping,
                               .original = original,
                               .upper = factor.upper,
                               .importance = std::vector<double>(columns.size(), 1)};
        task.block = sweep_block_width(grouping, grid);
        if (!grouping.refit) fit_static_groups(task, grid);
        return sweep(task, grid, kernels).codes;
      };
      PairsOfGroups together(rule, kernels, halves, original.size(1));
      UniformGrid<double> plain(rule, kernels, pairs.groups, original.size(1));
      EXPECT_TRUE(codes(halves, together).equal(codes(pairs, plain)));
      EXPECT_EQ(sweep_block_width(halves, together), static_groups ? 128 : 120);
    }
}

// Identity 7.
TEST(Sweep, StaticGroupsGiveTheSameCodesForEveryBlockWidth) {
  const Layer layer = random_layer(20, 300, 7);
  const HessianDiagonal diagonal = diagonal_of(layer.hessian, DampingReference::kMean);
  for (const OrderKind order : {OrderKind::kNatural, OrderKind::kActivation}) {
    const Grouping grouping = group_columns(column_order(order, diagonal.values), 128, true);
    const at::Tensor expected = codes_by_block(layer, grouping, 128);
    for (const int64_t block : {1, 32, 100, 300, 1000})
      EXPECT_TRUE(codes_by_block(layer, grouping, block).equal(expected)) << block;
  }
}

TEST(Sweep, DynamicGroupsGiveTheSameCodesForEveryMultipleOfTheGroup) {
  const Layer layer = random_layer(20, 300, 8);
  const HessianDiagonal diagonal = diagonal_of(layer.hessian, DampingReference::kMean);
  const Grouping grouping =
      group_columns(column_order(OrderKind::kActivation, diagonal.values), 40, false);
  const at::Tensor expected = codes_by_block(layer, grouping, 40);
  for (const int64_t block : {80, 120, 280, 320})
    EXPECT_TRUE(codes_by_block(layer, grouping, block).equal(expected)) << block;
}

// Identity 18.
TEST(Sweep, LinearsThatShareAnInputDoNotDependOnTheirOrder) {
  const Layer q = random_layer(48, 172, 10), k = random_layer(16, 172, 20);
  const at::Tensor hessian = q.hessian.clone();
  const LinearSolver shared({q.hessian, 1}, {}, 2);
  const at::Tensor q_first = shared.quantize(q.weight).quantized.codes;
  const at::Tensor k_second = shared.quantize(k.weight).quantized.codes;
  const LinearSolver other({q.hessian, 1}, {}, 2);
  EXPECT_TRUE(other.quantize(k.weight).quantized.codes.equal(k_second));
  EXPECT_TRUE(other.quantize(q.weight).quantized.codes.equal(q_first));
  EXPECT_TRUE(q.hessian.equal(hessian));
}

// q, k and v may differ in bits and outliers; the factor is of their input.
TEST(Sweep, LinearsOfDifferentGridsShareWhatIsMadeOfTheirInput) {
  const Layer layer = random_layer(24, 96);
  std::vector<LinearRecipe> recipes(3);
  recipes[0].grid.bits = 3;
  recipes[1].grid = {.bits = 4, .group_size = 32, .symmetric = true};
  recipes[2].grid = {.kind = GridKind::kBilevel, .bits = 3, .group_size = 16};
  recipes[2].outliers = {.kind = OutlierKind::kSpqr};
  const auto inputs =
      std::make_shared<const SharedInputs>(layer.statistics(), input_options(recipes[0]), 2);
  for (const LinearRecipe& recipe : recipes) {
    EXPECT_EQ(input_options(recipe), inputs->options());
    const QuantizedLinear shared = LinearSolver(inputs, recipe).quantize(layer.weight).quantized;
    const QuantizedLinear own =
        LinearSolver(layer.statistics(), recipe, 2).quantize(layer.weight).quantized;
    EXPECT_TRUE(dequantize(shared).equal(dequantize(own)));
  }
  recipes[1].objective.damping = 0.5;
  EXPECT_NE(input_options(recipes[1]), inputs->options());
}

// Identity 20.
TEST(Sweep, StaticGroupsInActivationOrderNeedNoIndex) {
  LinearRecipe recipe;
  recipe.grid.group_size = 64;
  recipe.order.kind = OrderKind::kActivation;
  const Layer layer = real_layer();
  const LinearOutcome outcome = quantize(layer, recipe);
  EXPECT_FALSE(outcome.quantized.group_of_column.defined());
  QuantizedLinear indexed = outcome.quantized;
  indexed.group_of_column = at::arange(172, at::kInt).div(64, "floor").to(at::kInt);
  EXPECT_TRUE(dequantize(indexed).equal(dequantize(outcome.quantized)));
  EXPECT_NEAR(damped_loss(layer, dequantize(outcome.quantized), 0.01) / outcome.loss, 1, 1e-6);
}

TEST(Sweep, DynamicGroupsInActivationOrderCarryTheirIndex) {
  LinearRecipe recipe;
  recipe.grid.group_size = 64;
  recipe.order = {OrderKind::kActivation, false};
  const Layer layer = real_layer();
  const LinearOutcome outcome = quantize(layer, recipe);
  ASSERT_TRUE(outcome.quantized.group_of_column.defined());
  const at::Tensor counts = at::bincount(outcome.quantized.group_of_column.to(at::kLong));
  EXPECT_TRUE(counts.equal(at::tensor({64, 64, 44}, at::kLong)));
  EXPECT_NEAR(damped_loss(layer, dequantize(outcome.quantized), 0.01) / outcome.loss, 1, 1e-6);
}

}  // namespace
}  // namespace halftone::testing
