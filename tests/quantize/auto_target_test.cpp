// target.auto: the error on tokens held out, and the choice by it.
#include "quantize/auto_target.h"

#include "layers.h"

namespace halftone::testing {
namespace {

constexpr double kFloat64 = 1e-10;  // relative, for identities that hold to rounding
constexpr double kFloat32 = 1e-3;   // errors formed from float32 sums

// Inputs of a layer in two streams, the last `held_out` tokens kept out of H and D.
struct Tokens {
  at::Tensor x, full;  // (tokens, in) float64
  int64_t held_out;

  LinearStatistics statistics() const {
    const int64_t kept = x.size(0) - held_out;
    LinearStatistics all{x.narrow(0, 0, kept).t().mm(x.narrow(0, 0, kept)), kept};
    all.cross_moment = (full - x).narrow(0, 0, kept).t().mm(x.narrow(0, 0, kept));
    all.held_out = held_out_inputs();
    return all;
  }
  at::Tensor last(const at::Tensor& rows) const {
    return rows.narrow(0, rows.size(0) - held_out, held_out);
  }
  HeldOutInputs held_out_inputs() const {
    const at::Tensor d = last(full) - last(x);
    return {last(x).t().mm(last(x)), d.t().mm(last(x)), d.t().mm(d)};
  }
  // |W Xf^T - What X^T|^2 / |W Xf^T|^2, token by token
  double error(const at::Tensor& weight, const at::Tensor& quantized) const {
    const at::Tensor aim = last(full).mm(weight.t());
    return ((aim - last(x).mm(quantized.t())).square().sum() / aim.square().sum()).item<double>();
  }
};

// drift: size of Xf - X beside X; a part of it follows from X, the rest is noise.
Tokens some_tokens(int64_t tokens, int64_t in, double drift, uint64_t seed = 1) {
  const at::Tensor mix = normal({in, in}, seed + 1) * 0.1 + at::eye(in, at::kDouble);
  const at::Tensor x = normal({tokens, in}, seed).mm(mix);
  const at::Tensor d =
      x.mm(normal({in, in}, seed + 2)) * 0.2 / std::sqrt(in) + normal({tokens, in}, seed + 3) * 0.1;
  return {x, x + drift * d, tokens / 10};
}

LinearRecipe automatic_recipe() {
  LinearRecipe recipe;
  recipe.target.automatic = true;
  recipe.grid = {.bits = 3, .group_size = 32, .scale_bits = 0};
  return recipe;
}

LinearOutcome solve(const Tokens& of, const at::Tensor& weight, const LinearRecipe& recipe) {
  return LinearSolver(of.statistics(), recipe, 2).quantize(weight);
}

TEST(AutoTarget, HeldOutErrorIsThatOfTheOutputsTokenByToken) {
  const Tokens of = some_tokens(400, 48, 1);
  const at::Tensor weight = normal({24, 48}, 9), quantized = weight + normal({24, 48}, 10) * 0.1;
  const double expected = of.error(weight, quantized);
  EXPECT_NEAR(held_out_error(weight, quantized, of.held_out_inputs()) / expected, 1, kFloat64);
  const HeldOutInputs sums = of.held_out_inputs();
  const auto narrow = [](const at::Tensor& t) { return t.to(at::kFloat); };
  EXPECT_NEAR(
      held_out_error(narrow(weight), narrow(quantized),
                     {narrow(sums.hessian), narrow(sums.cross_moment), narrow(sums.drift)}) /
          expected,
      1, kFloat32);
}

TEST(AutoTarget, TheWeightItselfLosesNothingWithoutDriftAndTheDriftWithIt) {
  const at::Tensor weight = normal({24, 48}, 9);
  const Tokens still = some_tokens(400, 48, 0), drifting = some_tokens(400, 48, 1);
  EXPECT_LT(held_out_error(weight, weight, still.held_out_inputs()), kFloat64);
  EXPECT_NEAR(
      held_out_error(weight, weight, drifting.held_out_inputs()) / drifting.error(weight, weight),
      1, kFloat64);
}

TEST(AutoTarget, KeepsTheTrialOfTheLeastHeldOutError) {
  const Tokens of = some_tokens(2000, 64, 1);
  const at::Tensor weight = normal({32, 64}, 9) * 0.05;
  const LinearOutcome chosen = solve(of, weight, automatic_recipe());
  ASSERT_EQ(chosen.trials.size(), target_candidates().size());
  double least = INFINITY;
  std::string name;
  at::Tensor codes;
  for (size_t i = 0; i < chosen.trials.size(); ++i) {
    LinearRecipe recipe = automatic_recipe();
    recipe.target = target_candidates()[i];
    const QuantizedLinear alone = solve(of, weight, recipe).quantized;
    const double error = of.error(weight, dequantize(alone).to(at::kDouble));
    EXPECT_EQ(chosen.trials[i].target, describe(recipe.target));
    EXPECT_NEAR(chosen.trials[i].error / error, 1, kFloat64);
    if (error >= least) continue;
    least = error;
    name = describe(recipe.target);
    codes = alone.codes;
  }
  EXPECT_EQ(chosen.target, name);
  EXPECT_NE(chosen.target, "plain");
  EXPECT_TRUE(chosen.quantized.codes.equal(codes));
}

TEST(AutoTarget, WithoutDriftAllTrialsButTheFeedbacksAreOneAndThePlainOneStandsForThem) {
  const Tokens of = some_tokens(800, 64, 0);
  const at::Tensor weight = normal({32, 64}, 9) * 0.05;
  const std::vector<TargetTrial> trials = solve(of, weight, automatic_recipe()).trials;
  for (size_t i = 1; i + 1 < trials.size(); ++i) EXPECT_EQ(trials[i].error, trials[0].error);
  EXPECT_EQ(trials.back().target, "alpha 0.25, alpha2 0.25");
  EXPECT_NE(trials.back().error, trials[0].error);
}

TEST(AutoTarget, ShrinksWhereTheSolveSawTooFewTokens) {
  // 64 tokens for 64 columns, noise drift: the shift that fits them does not carry over
  const int64_t in = 64;
  const at::Tensor x = normal({264, in}, 1);
  const Tokens few{x, x + normal({264, in}, 2) * 0.5, 200};
  const at::Tensor weight = normal({32, in}, 9) * 0.05;
  const LinearOutcome chosen = solve(few, weight, automatic_recipe());
  EXPECT_LT(chosen.trials[1].error, chosen.trials[3].error);
  EXPECT_TRUE(chosen.target == "plain" || chosen.target == "preshift 0.25") << chosen.target;
}

TEST(AutoTarget, WorksOnEveryGridAndOutlierRule) {
  const Tokens of = some_tokens(1200, 64, 1);
  const at::Tensor weight = normal({32, 64}, 9) * 0.05;
  LinearRecipe bilevel = automatic_recipe(), binary = bilevel, split = bilevel, dynamic = bilevel;
  bilevel.grid = {.kind = GridKind::kBilevel, .bits = 3, .group_size = 16};
  bilevel.outliers = {.kind = OutlierKind::kSpqr, .rate = 0.01};
  binary.grid = {.kind = GridKind::kBinary, .bits = 1, .group_size = 64};
  split.grid.kind = GridKind::kSplit;
  split.outliers = {.kind = OutlierKind::kLasso, .rate = 0.05};
  dynamic.order = {OrderKind::kActivation, false};
  for (const LinearRecipe& recipe : {bilevel, binary, split, dynamic}) {
    const LinearOutcome chosen = solve(of, weight, recipe);
    EXPECT_EQ(chosen.trials.size(), target_candidates().size());
    const double error = of.error(weight, dequantize(chosen.quantized).to(at::kDouble));
    for (const TargetTrial& trial : chosen.trials) EXPECT_GE(trial.error, error * (1 - kFloat64));
  }
}

TEST(AutoTarget, NeedsHeldOutStatistics) {
  const Tokens of = some_tokens(400, 48, 1);
  LinearStatistics statistics = of.statistics();
  statistics.held_out.reset();
  EXPECT_NE(message_of([&] { LinearSolver(statistics, automatic_recipe(), 1); }).find("held out"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone::testing
