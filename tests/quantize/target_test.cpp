// Two-stream targets: GPTAQ, ResComp, QEP's shift (methods.md 3 and 11, identities 4-9).
#include "quantize/target.h"

#include <fstream>

#include "layers.h"
#include "quantize/grid/uniform.h"
#include "quantize/sweep.h"
#include "quantize/tiles.h"

namespace halftone::testing {
namespace {

constexpr double kFloat64 = 1e-9;    // relative, for identities that hold to rounding
constexpr double kFloatLoss = 1e-3;  // methods.md 7.4: float32 is accepted by loss

struct DriftingLayer {
  Layer layer;
  at::Tensor moment;  // (in, in) float64, D

  LinearStatistics statistics() const { return {layer.hessian, 1, moment}; }
  LinearOutcome quantize(const LinearRecipe& recipe, int threads = 2) const {
    return LinearSolver(statistics(), recipe, threads).quantize(layer.weight);
  }
  LinearOutcome quantize32(const LinearRecipe& recipe) const {
    return LinearSolver({layer.hessian.to(at::kFloat), 1, moment.to(at::kFloat)}, recipe, 2)
        .quantize(layer.weight32());
  }
};

// Inputs X and Xf = X + a tenth of other correlated numbers.
DriftingLayer drifting_layer(int64_t out, int64_t in, uint64_t seed = 1) {
  const at::Tensor mix = normal({in, in}, seed + 1) * 0.1 + at::eye(in, at::kDouble);
  const at::Tensor x = normal({3 * in, in}, seed).mm(mix);
  const at::Tensor drift =
      x.mm(normal({in, in}, seed + 2)) * 0.02 + normal({3 * in, in}, seed + 3) * 0.1;
  return {{normal({out, in}, seed + 4) * 0.05, x.t().mm(x)}, drift.t().mm(x)};
}

LinearRecipe recipe_with(const TargetOptions& target, int bits = 3, int64_t group_size = 32) {
  LinearRecipe recipe;
  recipe.target = target;
  recipe.grid.bits = bits;
  recipe.grid.group_size = group_size;
  recipe.grid.scale_bits = 0;
  return recipe;
}

std::vector<int64_t> file_order(int64_t in) {
  std::vector<int64_t> columns(static_cast<size_t>(in));
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

struct Matrices {
  at::Tensor damped;  // H + damping I
  at::Tensor upper;   // U of it, normalized
  at::Tensor drift;   // P
  double normalizer;
};

Matrices matrices_of(const DriftingLayer& of, double share) {
  const auto columns = file_order(of.layer.hessian.size(0));
  const HessianDiagonal diagonal = diagonal_of(of.layer.hessian, DampingReference::kMean);
  const Factor factor = factor_inverse(of.layer.hessian, diagonal, columns, share, at::kDouble);
  const at::Tensor moment = ordered_cross_moment(of.moment, diagonal, columns, at::kDouble);
  return {of.layer.hessian + share * diagonal.reference * at::eye(of.moment.size(0), at::kDouble),
          factor.upper, drift_matrix(moment, factor.upper), diagonal.normalizer()};
}

TEST(Target, DriftMatrixEqualsItsRowWiseDefinitionAndIsStrictlyUpper) {  // identity 4
  const DriftingLayer of = drifting_layer(8, 40);
  const Matrices m = matrices_of(of, 0.01);
  at::Tensor expected = at::zeros({40, 40}, at::kDouble);
  for (int64_t j = 0; j + 1 < 40; ++j) {
    const int64_t rest = 39 - j;
    const at::Tensor tail = m.damped.narrow(0, j + 1, rest).narrow(1, j + 1, rest);
    const at::Tensor row = of.moment[j].narrow(0, j + 1, rest);
    expected[j].narrow(0, j + 1, rest).copy_(at::linalg_inv(tail).t().mv(row));
  }
  EXPECT_LT(relative(m.drift, expected), kFloat64);
  EXPECT_EQ(m.drift.tril().abs().max().item<double>(), 0);
}

TEST(Target, SecondDriftMatrixFollowsFromTheFirst) {  // identity 5, any damping
  const DriftingLayer of = drifting_layer(8, 40);
  for (const double share : {0.01, 1.0}) {
    const Matrices m = matrices_of(of, share);
    const at::Tensor c = of.layer.hessian + of.moment;       // C = Xf^T X, undamped
    const at::Tensor u = m.upper * std::sqrt(m.normalizer);  // of H itself
    const at::Tensor second = at::triu(c.mm(u.t()), 1).mm(u);
    const at::Tensor expected = m.drift - at::triu(u, 1) / u.diagonal().unsqueeze(1);
    EXPECT_LT(relative(second, expected), kFloat64) << share;
  }
}

// methods.md 3.3 with P and P2 spelt out, one column at a time, per-row static grids taken from
// `grids`.
at::Tensor slow_rescomp(const DriftingLayer& of, const TargetOptions& target, double share,
                        const QuantizedLinear& grids) {
  const Matrices m = matrices_of(of, share);
  const at::Tensor u = m.upper * std::sqrt(m.normalizer);
  const at::Tensor second = m.drift - at::triu(u, 1) / u.diagonal().unsqueeze(1);
  at::Tensor w = of.layer.weight.clone(), codes = at::zeros_like(w);
  const at::Tensor scales = grids.scales.to(at::kDouble), zeros = grids.zeros.to(at::kDouble);
  const int64_t in = w.size(1);
  for (int64_t j = 0; j < in; ++j) {
    const int64_t g = j / grids.group_size;
    const at::Tensor column = w.select(1, j).clone();
    const at::Tensor code = ((column / scales.select(1, g)).round() + zeros.select(1, g))
                                .clamp(0, (1 << grids.bits) - 1);
    codes.select(1, j).copy_(code);
    const at::Tensor e = (column - scales.select(1, g) * (code - zeros.select(1, g))) / u[j][j];
    const at::Tensor residual = of.layer.weight.select(1, j) - column;
    if (j + 1 == in) break;
    w.narrow(1, j + 1, in - j - 1)
        .add_(at::outer(-e, u[j].narrow(0, j + 1, in - j - 1)) +
              at::outer(target.alpha * column, m.drift[j].narrow(0, j + 1, in - j - 1)) +
              at::outer(target.alpha2 * residual, second[j].narrow(0, j + 1, in - j - 1)));
  }
  return codes.to(at::kByte);
}

TEST(Target, ResCompInShortFormEqualsTheTwoMatrixFormCodeForCode) {  // identity 6
  const DriftingLayer of = drifting_layer(24, 96);
  for (const TargetOptions target : {TargetOptions{0.25, 0.25, 0}, {1, 0, 0}, {0.25, 0.5, 0}}) {
    const QuantizedLinear fast = of.quantize(recipe_with(target)).quantized;
    EXPECT_TRUE(fast.codes.equal(slow_rescomp(of, target, 0.01, fast)));
  }
}

TEST(Target, WithoutDriftGptaqIsGptqToTheBit) {  // identity 8
  DriftingLayer of = drifting_layer(24, 96);
  of.moment.zero_();
  const QuantizedLinear gptaq = of.quantize(recipe_with({1, 0, 0})).quantized;
  const QuantizedLinear qep = of.quantize(recipe_with({0, 0, 1})).quantized;
  const QuantizedLinear gptq = of.quantize(recipe_with({})).quantized;
  EXPECT_TRUE(gptaq.codes.equal(gptq.codes));
  EXPECT_TRUE(qep.codes.equal(gptq.codes));
}

TEST(Target, FullPreShiftSolvesTheRidgeProblem) {  // identity 9, second half
  const DriftingLayer of = drifting_layer(24, 60);
  const auto columns = file_order(60);
  const HessianDiagonal diagonal = diagonal_of(of.layer.hessian, DampingReference::kMean);
  const Matrices m = matrices_of(of, 0.01);
  const at::Tensor moment = ordered_cross_moment(of.moment, diagonal, columns, at::kDouble);
  const at::Tensor shift = WeightShift(moment, m.upper, columns).of(of.layer.weight);
  const at::Tensor expected = of.layer.weight.mm(m.damped + of.moment).mm(at::linalg_inv(m.damped));
  EXPECT_LT(relative(of.layer.weight + shift, expected), kFloat64);
}

// Low weights by themselves, from the first tall one on by a matrix that all share.
TEST(Target, PreShiftIsTheSameForEveryWeightOfAnInputInAnyOrder) {
  const DriftingLayer of = drifting_layer(24, 60);
  const HessianDiagonal diagonal = diagonal_of(of.layer.hessian, DampingReference::kMean);
  const auto columns = column_order(OrderKind::kActivation, diagonal.values);
  ASSERT_NE(columns, file_order(60));
  const Factor factor = factor_inverse(of.layer.hessian, diagonal, columns, 0.01, at::kDouble);
  const WeightShift shift(ordered_cross_moment(of.moment, diagonal, columns, at::kDouble),
                          factor.upper, columns);
  const at::Tensor inverse = at::linalg_inv(matrices_of(of, 0.01).damped);
  for (const int64_t rows : {24, 60, 24, 130}) {
    const at::Tensor weight = normal({rows, 60}, static_cast<uint64_t>(rows));
    EXPECT_LT(relative(shift.of(weight), weight.mm(of.moment).mm(inverse)), kFloat64) << rows;
  }
}

// Column by column: rounded, then all later columns are the minimizer of
// |W X^T - W0 Xf^T|^2 + damping |W - W0|^2 given the values so far. Grids from `grids`.
at::Tensor slow_stepwise(const DriftingLayer& of, double share, const QuantizedLinear& grids) {
  const Matrices m = matrices_of(of, share);
  const int64_t in = of.layer.weight.size(1), top = (1 << grids.bits) - 1;
  const at::Tensor scales = grids.scales.to(at::kDouble), zeros = grids.zeros.to(at::kDouble);
  const at::Tensor right = of.layer.weight.mm(m.damped + of.moment);  // W0 (C + damping I)
  at::Tensor w = right.mm(at::linalg_inv(m.damped)), codes = at::zeros_like(w);
  for (int64_t j = 0; j < in; ++j) {
    const at::Tensor scale = scales.select(1, j / grids.group_size);
    const at::Tensor zero = zeros.select(1, j / grids.group_size);
    const at::Tensor code = ((w.select(1, j) / scale).round() + zero).clamp(0, top);
    codes.select(1, j).copy_(code);
    w.select(1, j).copy_(scale * (code - zero));
    const int64_t done = j + 1, rest = in - done;
    if (rest == 0) break;
    const at::Tensor fixed =
        w.narrow(1, 0, done).mm(m.damped.narrow(0, 0, done).narrow(1, done, rest));
    w.narrow(1, done, rest)
        .copy_((right.narrow(1, done, rest) - fixed)
                   .mm(at::linalg_inv(m.damped.narrow(0, done, rest).narrow(1, done, rest))));
  }
  return codes.to(at::kByte);
}

TEST(Target, ExactStepwiseResidualIsFullPreShiftThenThePlainSweepCodeForCode) {  // identity 9
  const DriftingLayer of = drifting_layer(16, 64);
  const QuantizedLinear fast = of.quantize(recipe_with({.preshift = 1})).quantized;
  EXPECT_TRUE(fast.codes.equal(slow_stepwise(of, 0.01, fast)));
}

SweepTask<double> task_of(const DriftingLayer& of, const TargetOptions& target,
                          const Grouping& grouping, int64_t block = 128) {
  const Matrices m = matrices_of(of, 0.01);
  return {.grouping = grouping,
          .original = to_sweep_layout<double>(of.layer.weight, grouping.columns, 1),
          .upper = m.upper,
          .drift = m.drift,
          .importance = std::vector<double>(grouping.columns.size(), 1),
          .block = block,
          .threads = 2,
          .target = target};
}

// Holds every value, and keeps what it was asked to round.
class EveryValue : public Grid<double> {
 public:
  explicit EveryValue(at::Tensor seen) : seen_(std::move(seen)) {}
  void fit(Place, int64_t, const double*, const double*) override {}
  void round(Place at, const double* weights, uint8_t*, double* values) override {
    std::copy_n(weights, kLanes, values);
    std::copy_n(weights, kLanes,
                seen_.mutable_data_ptr<double>() + at.position * seen_.size(1) + at.row);
  }
  void store(QuantizedLinear&) const override {}

 private:
  at::Tensor seen_;  // (in, rows)
};

TEST(Target, ExpectedWeightsAreThoseThatASweepWithoutRoundingFinds) {
  const DriftingLayer of = drifting_layer(32, 200);
  const Grouping grouping = group_columns(file_order(200), 64, true);
  for (const TargetOptions target :
       {TargetOptions{.alpha = 0.25}, {.alpha = 1}, {.alpha = 0.5, .alpha2 = 0.25}}) {
    const SweepTask<double> task = task_of(of, target, grouping);
    const at::Tensor seen = at::zeros_like(task.original);
    EveryValue recorder(seen);
    sweep(task, recorder, lane_kernels<double>());
    EXPECT_LT(relative(expected_weights(task), seen), kFloat64);
    EXPECT_GT(relative(seen, task.original), 0.01);
  }
}

TEST(Target, ExpectedWeightsAreTheOriginalOnesWhereNothingDriftsOrTheyAreNotFinite) {
  DriftingLayer of = drifting_layer(16, 64);
  const Grouping grouping = group_columns(file_order(64), 64, true);
  SweepTask<double> task = task_of(of, {.alpha2 = 0.25}, grouping);
  EXPECT_TRUE(expected_weights(task).equal(task.original));
  task.target.alpha = 1;
  task.drift = at::full_like(task.drift, 1e200).triu(1);
  EXPECT_TRUE(expected_weights(task).equal(task.original));
  task.drift.reset();
  EXPECT_TRUE(expected_weights(task).equal(task.original));
}

TEST(Target, StaticScalesAreThoseOfTheExpectedOrTheOriginalWeights) {
  const DriftingLayer of = drifting_layer(32, 96);
  const auto scales = [&](const DriftingLayer& layer, TargetOptions target, TargetFit fit) {
    target.fit = fit;
    return layer.quantize(recipe_with(target)).quantized.scales;
  };
  const Grouping grouping = group_columns(file_order(96), 32, true);
  const TargetOptions target{.alpha = 1, .alpha2 = 0.25};
  const at::Tensor expected = expected_weights(task_of(of, target, grouping));
  DriftingLayer moved = of;
  moved.layer.weight = expected.t().contiguous();
  const at::Tensor plain = scales(of, {}, TargetFit::kOriginal);
  EXPECT_LT(
      relative(scales(of, target, TargetFit::kExpected), scales(moved, {}, TargetFit::kOriginal)),
      kFloat64);
  EXPECT_TRUE(scales(of, target, TargetFit::kOriginal).equal(plain));
  EXPECT_GT(relative(scales(of, target, TargetFit::kExpected), plain), 0.001);
}

// Codes of a sweep with lazy blocks of a given width.
at::Tensor codes_by_block(const DriftingLayer& of, const TargetOptions& target, int64_t block) {
  const LaneKernels<double> kernels = lane_kernels<double>();
  const Grouping grouping = group_columns(file_order(of.moment.size(0)), 128, true);
  const SweepTask<double> task = task_of(of, target, grouping, block);
  UniformGrid<double> grid(uniform_rule({.bits = 3}), kernels, grouping.groups,
                           task.original.size(1));
  fit_static_groups(task, grid);
  return sweep(task, grid, kernels).codes;
}

TEST(Target, CodesDoNotDependOnTheBlocksWidthUnlessByParity) {  // identity 7
  const DriftingLayer of = drifting_layer(24, 300);
  for (TargetOptions target : {TargetOptions{.alpha = 0.25},
                               {.alpha = 1},
                               {.alpha2 = 0.25},
                               {.alpha = 0.25, .alpha2 = 0.25}}) {
    const at::Tensor expected = codes_by_block(of, target, 128);
    for (const int64_t block : {1, 32, 100, 300})
      EXPECT_TRUE(codes_by_block(of, target, block).equal(expected)) << block;
    target.parity = TargetParity::kOrg;
    EXPECT_FALSE(codes_by_block(of, target, 128).equal(expected));
    EXPECT_TRUE(codes_by_block(of, target, 300).equal(expected));
  }
}

TEST(Target, PreShiftFollowsTheSweepOrder) {
  const DriftingLayer of = drifting_layer(24, 60);
  LinearRecipe natural = recipe_with({0, 0, 0.5}, 8, 16), activation = natural;
  activation.order.kind = OrderKind::kActivation;
  const at::Tensor a = dequantize(of.quantize(natural).quantized);
  const at::Tensor b = dequantize(of.quantize(activation).quantized);
  EXPECT_LT(relative(a, b), 0.01);  // 8 bits: both are the shifted weight, up to rounding
  EXPECT_GT(relative(a, of.layer.weight), 0.02);
}

TEST(Target, MoreThreadsGiveTheSameCodes) {
  const DriftingLayer of = drifting_layer(70, 96);
  const LinearRecipe recipe = recipe_with({0.25, 0.25, 0});
  EXPECT_TRUE(of.quantize(recipe, 1).quantized.codes.equal(of.quantize(recipe, 3).quantized.codes));
}

TEST(Target, CompensatingDriftBringsTheOutputNearerToTheFullPrecisionOne) {
  const DriftingLayer of = drifting_layer(48, 96);
  // |What X^T - W0 Xf^T|^2 up to a constant: tr(E H E^T) - 2 tr(E D^T W0^T), E = What - W0
  const auto distance = [&](const TargetOptions& target) {
    const at::Tensor e = dequantize(of.quantize(recipe_with(target)).quantized) - of.layer.weight;
    return (e.mm(of.layer.hessian) * e).sum().item<double>() -
           2 * (e.mm(of.moment.t()) * of.layer.weight).sum().item<double>();
  };
  EXPECT_LT(distance({1, 0, 0}), distance({}));
  EXPECT_LT(distance({0, 0, 1}), distance({}));
}

// methods.md 3.3 with the published code's update beyond a block of `width` columns: E' and S of
// `seen` weights there, of the weights themselves inside. Grids and damping as in slow_rescomp.
at::Tensor slow_parity(const DriftingLayer& of, const TargetOptions& target, int64_t width,
                       const QuantizedLinear& grids) {
  const Matrices m = matrices_of(of, 0.01);
  const at::Tensor u = m.upper * std::sqrt(m.normalizer);
  const at::Tensor scales = grids.scales.to(at::kDouble), zeros = grids.zeros.to(at::kDouble);
  const int64_t in = of.layer.weight.size(1), top = (1 << grids.bits) - 1;
  at::Tensor weights = of.layer.weight.clone(), codes = at::zeros_like(weights);
  for (int64_t begin = 0; begin < in; begin += width) {
    const int64_t end = std::min(in, begin + width), last = (end - 1) / grids.group_size;
    at::Tensor inside = weights.clone();
    for (int64_t j = begin; j < end; ++j) {
      const int64_t g = j / grids.group_size;
      const at::Tensor w = inside.select(1, j).clone(), w0 = of.layer.weight.select(1, j);
      const at::Tensor scale = scales.select(1, g), zero = zeros.select(1, g);
      const at::Tensor code = ((w / scale).round() + zero).clamp(0, top);
      const at::Tensor value = scale * (code - zero);
      codes.select(1, j).copy_(code);
      const at::Tensor low = -scales.select(1, last) * zeros.select(1, last);
      const at::Tensor high = scales.select(1, last) * (-zeros.select(1, last) + top);
      const at::Tensor seen =
          target.parity == TargetParity::kOrg ? value : at::minimum(at::maximum(w, low), high);
      const auto update = [&](at::Tensor rows, int64_t first, int64_t count, const at::Tensor& as) {
        const at::Tensor error = (w - value + target.alpha2 * (w0 - as)) / u[j][j];
        const at::Tensor drift = target.alpha * as + target.alpha2 * (w0 - as);
        rows.narrow(1, first, count)
            .add_(at::outer(drift, m.drift[j].narrow(0, first, count)) -
                  at::outer(error, u[j].narrow(0, first, count)));
      };
      update(inside, j + 1, end - j - 1, w);
      update(weights, end, in - end, seen);
    }
  }
  return codes.to(at::kByte);
}

TEST(Target, ParityEqualsThePublishedUpdateBeyondABlockCodeForCode) {
  const DriftingLayer of = drifting_layer(24, 288);
  for (const TargetParity parity : {TargetParity::kOrg, TargetParity::kAllw}) {
    for (const TargetOptions numbers : {TargetOptions{0.25, 0.25}, {1, 0}, {0.25, 0.5}}) {
      TargetOptions target = numbers;
      target.parity = parity;
      const QuantizedLinear fast = of.quantize(recipe_with(target, 2)).quantized;
      EXPECT_TRUE(fast.codes.equal(slow_parity(of, target, 128, fast)));
      EXPECT_FALSE(fast.codes.equal(of.quantize(recipe_with(numbers, 2)).quantized.codes));
    }
  }
}

TEST(Target, ParityInsideOneBlockIsTheCleanForm) {
  const DriftingLayer of = drifting_layer(24, 128);
  TargetOptions target{0.25, 0.25};
  const at::Tensor clean = of.quantize(recipe_with(target)).quantized.codes;
  target.parity = TargetParity::kOrg;
  EXPECT_TRUE(of.quantize(recipe_with(target)).quantized.codes.equal(clean));
}

TEST(Target, NeedsTheFullPrecisionStream) {
  const DriftingLayer of = drifting_layer(4, 32);
  EXPECT_NE(message_of([&] {
              LinearSolver(of.layer.statistics(), recipe_with({0.25, 0, 0}), 1);
            }).find("full-precision stream"),
            std::string::npos);
}

// The slow float64 reference of the shared data: 20 option sets with a target.
LinearRecipe recipe_of(const nlohmann::json& options) {
  LinearRecipe recipe = recipe_with(
      {options.value("alpha", 0.0), options.value("alpha2", 0.0), options.value("beta", 0.0)},
      options["bits"], std::max<int64_t>(0, options["group"]));
  recipe.order.kind =
      options.value("act_order", false) ? OrderKind::kActivation : OrderKind::kNatural;
  recipe.order.static_groups = options.value("static_groups", false);
  // "outer": the published code's arithmetic beyond the block
  const std::string outer = options.value("outer", "");
  if (!outer.empty())
    recipe.target.parity = outer == "org" ? TargetParity::kOrg : TargetParity::kAllw;
  return recipe;
}

TEST(GoldenTarget, CodesEqualTheSlowReferenceAndFloat32LossesAgree) {
  HALFTONE_REQUIRE_SHARED("golden/methods/sweep.json");
  std::ifstream file(shared_data("golden/methods/sweep.json"));
  const auto sets = nlohmann::json::parse(file)["cases"];
  const auto tensors = read_safetensors(shared_data("golden/methods/sweep.safetensors"));
  const DriftingLayer of{real_layer(), tensors.at("DX").to(at::kDouble)};
  int checked = 0;
  for (const auto& [name, options] : sets.items()) {
    const bool target =
        options.contains("alpha") || options.contains("alpha2") || options.contains("beta");
    if (!name.starts_with("clean/") || !target) continue;
    SCOPED_TRACE(name);
    const LinearRecipe recipe = recipe_of(options);
    const QuantizedLinear linear = of.quantize(recipe).quantized;
    const at::Tensor least_step = std::get<0>(linear.scales.min(1, /*keepdim=*/true));
    const at::Tensor other = (dequantize(linear) - tensors.at(name)).abs() > 0.01 * least_step;
    EXPECT_EQ(other.sum().item<int64_t>(), 0);
    const double loss = damped_loss(of.layer, dequantize(of.quantize32(recipe).quantized), 0.01);
    EXPECT_NEAR(loss / options["loss_damped"].get<double>(), 1, kFloatLoss);
    ++checked;
  }
  EXPECT_GE(checked, 18);
}

}  // namespace
}  // namespace halftone::testing
