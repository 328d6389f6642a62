// The trellis grid in the one sweep: methods.md 4.8, 8.5; methods.md 11, identities 2 and 10.
#include "base/error.h"
#include "kernels/trellis_kernels.h"
#include "layers.h"
#include "matrix/quadratic_form.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/linear_rotation.h"

namespace halftone::testing {
namespace {

constexpr double kClose = 1e-4;  // relative, of sums with values in float32

LinearRecipe trellis(int bits, int state_bits = 8) {
  LinearRecipe recipe;
  recipe.grid = {.kind = GridKind::kTrellis,
                 .bits = bits,
                 .group_size = 0,
                 .symmetric = true,
                 .state_bits = state_bits};
  return recipe;
}

LinearRecipe to_nearest(LinearRecipe recipe) {
  recipe.objective.kind = ObjectiveKind::kNone;
  return recipe;
}

double relative_error(const Layer& layer, const LinearRecipe& recipe) {
  const at::Tensor found =
      dequantize(LinearSolver(layer.statistics32(), recipe, 2).quantize(layer.weight32()).quantized)
          .to(at::kDouble);
  return quadratic_form(layer.weight - found, layer.hessian) /
         quadratic_form(layer.weight, layer.hessian);
}

TEST(TrellisGrid, TheSumOfErrorsIsTheQuadraticFormOfTheUnrotatedWeights) {
  const Layer layer = random_layer(32, 192);
  for (const int bits : {1, 2, 3, 4}) {
    const LinearRecipe recipe = trellis(bits);
    const LinearOutcome outcome =
        LinearSolver(layer.statistics(), recipe, 2).quantize(layer.weight);
    const at::Tensor error = layer.weight - dequantize(outcome.quantized).to(at::kDouble);
    const double ridge = recipe.objective.damping * layer.hessian.diagonal().mean().item<double>();
    const double expected =
        quadratic_form(error, layer.hessian) + ridge * error.square().sum().item<double>();
    EXPECT_NEAR(outcome.loss, expected, kClose * expected) << bits;
    EXPECT_EQ(outcome.fallback, "");
    EXPECT_EQ(outcome.quantized.kind(), GridKind::kTrellis);
  }
}

TEST(TrellisGrid, CompensationLosesLessThanRoundingToNearest) {
  const Layer layer = random_layer(48, 256);
  EXPECT_LT(relative_error(layer, trellis(2)), 0.8 * relative_error(layer, to_nearest(trellis(2))));
}

TEST(TrellisGrid, LosesLessThanAUniformGridOfAsManyBits) {
  const Layer layer = smollm2_layer();
  LinearRecipe uniform;
  uniform.grid = {.bits = 2, .group_size = 64, .clip_search = true};
  uniform.order.kind = OrderKind::kActivation;
  // 0.69 of it, at 2.0 bits where the other stores 2.3
  EXPECT_LT(relative_error(layer, trellis(2, 10)), 0.75 * relative_error(layer, uniform));
}

// What the sweep does with a tile, written down: E = E_raw inv(U_BB), and what the others get is
// E U.
TEST(TrellisGrid, ATileIsRoundedAtOnceAndTheOthersToldExactly) {
  const Layer layer = random_layer(16, 96);
  const LinearRecipe recipe = trellis(2);
  const QuantizedLinear found =
      LinearSolver(layer.statistics(), recipe, 1).quantize(layer.weight).quantized;
  QuantizedLinear inside = found;  // in the basis it was solved in
  inside.trellis->rotation.reset();
  const at::Tensor values = dequantize(inside).to(at::kDouble);

  at::Tensor h = rotate_moment(layer.hessian);
  h.diagonal().add_(recipe.objective.damping * h.diagonal().mean());
  const at::Tensor reversed = at::linalg_cholesky(h.flip({0, 1})).flip({0, 1});  // h = r r^T, upper
  const at::Tensor upper = at::linalg_inv(reversed);                             // u^T u = inv(h)
  at::Tensor weights = rotate(layer.weight, *found.trellis->rotation);
  const TrellisCodeValue value = find_trellis_code("3inst");
  std::vector<float> states;
  for (uint32_t state = 0; state < 256; ++state) states.push_back(value(state));
  const TrellisRule rule{2, 8, states.data()};
  const at::Tensor pivots = upper.diagonal();
  const double least = pivots.min().item<double>();
  const double greatest = found.scales.max().item<double>();
  for (int64_t first = 0; first < 96; first += kTrellisSide) {
    float x[kTrellisTile], counts[kTrellisTile];
    uint8_t codes[kTrellisTile];
    for (int64_t i = 0; i < kTrellisTile; ++i) {
      const int64_t row = i % kTrellisSide, column = first + i / kTrellisSide;
      const double scale = found.scales[row][0].item<double>();
      const double share = least / pivots[column].item<double>() * scale / greatest;
      x[i] = static_cast<float>(weights[row][column].item<double>() / scale);
      counts[i] = static_cast<float>(share * share);
    }
    std::vector<float> scratch(trellis_scratch_bytes(rule) / sizeof(float));
    trellis_kernels().encode(rule, x, counts, codes, scratch.data());
    for (int64_t i = 0; i < kTrellisTile; ++i)
      ASSERT_EQ(found.codes[i % kTrellisSide][first + i / kTrellisSide].item<int>(), codes[i])
          << first << " " << i;
    const int64_t next = first + kTrellisSide, rest = 96 - next;
    const auto block = [&](int64_t at_column, int64_t count) {
      return upper.narrow(0, first, kTrellisSide).narrow(1, at_column, count);
    };
    const at::Tensor raw =
        weights.narrow(1, first, kTrellisSide) - values.narrow(1, first, kTrellisSide);
    const at::Tensor error = raw.matmul(at::linalg_inv(block(first, kTrellisSide)));
    if (rest > 0) weights.narrow(1, next, rest).sub_(error.matmul(block(next, rest)));
  }
}

TEST(TrellisGrid, RowsOfTheWholeAreItsRows) {
  const Layer layer = random_layer(48, 64);
  const QuantizedLinear linear =
      LinearSolver({}, to_nearest(trellis(3)), 1).quantize(layer.weight32()).quantized;
  const at::Tensor all = dequantize(linear);
  EXPECT_TRUE(dequantize_rows(linear, 7, 30).equal(all.narrow(0, 7, 30)));
  EXPECT_TRUE(linear.is_rotated());
  QuantizedLinear inside = linear;
  inside.trellis->rotation.reset();
  EXPECT_TRUE(dequantize_rows(inside, 7, 30).equal(dequantize(inside).narrow(0, 7, 30)));
}

TEST(TrellisGrid, BitsCountScalesAndSigns) {
  const Layer layer = random_layer(32, 64);
  const QuantizedLinear linear =
      LinearSolver({}, to_nearest(trellis(2)), 1).quantize(layer.weight32()).quantized;
  EXPECT_DOUBLE_EQ(bits_per_weight(linear), 2 + 16 / 64.0 + 1 / 64.0 + 1 / 32.0);
}

TEST(TrellisGrid, DeadColumnsAreZeroAndTheSweepAimsAtTheOthers) {
  Layer layer = random_layer(16, 64);
  layer.hessian.select(0, 5).zero_();
  layer.hessian.select(1, 5).zero_();
  const QuantizedLinear linear =
      LinearSolver(layer.statistics32(), trellis(2), 1).quantize(layer.weight32()).quantized;
  EXPECT_TRUE(dequantize(linear).select(1, 5).eq(0).all().item<bool>());
  EXPECT_TRUE(dequantize(linear).isfinite().all().item<bool>());
}

TEST(TrellisGrid, DegenerateWeightsAreFinite) {
  at::Tensor weight = at::zeros({16, 32}, at::kFloat);
  const auto rounded = [&] {
    return dequantize(LinearSolver({}, to_nearest(trellis(2)), 1).quantize(weight).quantized);
  };
  EXPECT_TRUE(rounded().eq(0).all().item<bool>());
  weight[3][7] = 100;
  EXPECT_TRUE(rounded().isfinite().all().item<bool>());
  weight.fill_(1e-9);
  EXPECT_TRUE(rounded().isfinite().all().item<bool>());
}

TEST(TrellisGrid, TheTargetCanBeShiftedAndChosen) {
  const Layer layer = random_layer(32, 64);
  LinearStatistics statistics = layer.statistics32();
  statistics.cross_moment = statistics.hessian * 0.05;
  statistics.held_out =
      HeldOutInputs{statistics.hessian, statistics.hessian * 0.05, statistics.hessian * 0.0025};
  // all that is missing of the inputs is a twentieth of each: weights a twentieth larger, as far as
  // the damping lets them
  LinearRecipe recipe = trellis(4, 10);
  const auto solved = [&] {
    return dequantize(LinearSolver(statistics, recipe, 1).quantize(layer.weight32()).quantized)
        .to(at::kDouble);
  };
  const auto along = [&] { return (solved() * layer.weight).sum().item<double>(); };
  const double before = along();
  recipe.target.preshift = 1;
  at::Tensor damped = layer.hessian.clone();
  damped.diagonal().add_(recipe.objective.damping * layer.hessian.diagonal().mean());
  const at::Tensor shift = at::linalg_solve(damped, layer.hessian, /*left=*/false) * 0.05;
  const double expected = 1 + (layer.weight.matmul(shift) * layer.weight).sum().item<double>() /
                                  layer.weight.square().sum().item<double>();
  EXPECT_NEAR(along() / before, expected, 0.002);
  recipe.target = {.automatic = true};
  const LinearOutcome chosen = LinearSolver(statistics, recipe, 1).quantize(layer.weight32());
  EXPECT_EQ(chosen.target, "preshift 1");
}

TEST(TrellisGrid, ThreadsChangeNothing) {
  const Layer layer = random_layer(64, 128);
  const auto codes = [&](int threads) {
    return LinearSolver(layer.statistics(), trellis(2), threads)
        .quantize(layer.weight)
        .quantized.codes;
  };
  EXPECT_TRUE(codes(1).equal(codes(3)));
}

}  // namespace
}  // namespace halftone::testing
