#include "calibrate/output_hessian.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calibrate/blend.h"
#include "calibrate/demo_model.h"
#include "calibrate/end_loss.h"
#include "calibrate/gradient_squares.h"
#include "calibrate/input_hessian.h"
#include "recipe/linear_recipe.h"

namespace halftone {
namespace {

using ::halftone::testing::relative_error;

constexpr double kRelativeTolerance = 1e-6;  // Frobenius; float32 sums against float64
constexpr int64_t kSequences = 5, kLength = 7, kIn = 6, kOut = 4;

struct Gradients {
  at::Tensor x = at::randn({kSequences, kLength, kIn});
  at::Tensor delta = at::randn({kSequences, kLength, kOut});
};

// The mean over each run of outputs of the squared gradient.   -> (runs, batch, length)
at::Tensor token_weights(const at::Tensor& delta, int64_t runs = 1) {
  std::vector<int64_t> begins;
  for (int64_t run = 0; run <= runs; ++run)
    begins.push_back(first_row_of_group(delta.size(2), runs, run));
  return gradient_squares(delta, at::ones({delta.size(0), delta.size(1)}), begins).tokens;
}

// Sums over sequences, rows and pairs of tokens, written out: of (delta^T left)^T (delta^T right).
// -> (in, in) float64
at::Tensor reference(const at::Tensor& left, const at::Tensor& right, const at::Tensor& delta) {
  const at::Tensor wide[] = {left.to(at::kDouble), right.to(at::kDouble), delta.to(at::kDouble)};
  const auto ls = wide[0].accessor<double, 3>(), rs = wide[1].accessor<double, 3>(),
             ds = wide[2].accessor<double, 3>();
  at::Tensor sum = at::zeros({left.size(2), left.size(2)}, at::kDouble);
  auto out = sum.accessor<double, 2>();
  for (int64_t i = 0; i < left.size(0); ++i)
    for (int64_t row = 0; row < delta.size(2); ++row)
      for (int64_t t = 0; t < left.size(1); ++t)
        for (int64_t u = 0; u < left.size(1); ++u)
          for (int64_t a = 0; a < left.size(2); ++a)
            for (int64_t b = 0; b < left.size(2); ++b)
              out[a][b] += ds[i][t][row] * ls[i][t][a] * ds[i][u][row] * rs[i][u][b];
  return sum;
}

TEST(OutputHessian, IsTheSumOfTheFisherMatricesOfSingleRows) {
  const Gradients g;
  OutputHessian hessian(kOut, kIn, at::kCPU);
  hessian.add(g.x, g.delta);
  EXPECT_LT(relative_error(hessian.finish(1).hessian, reference(g.x, g.x, g.delta)),
            kRelativeTolerance);
}

TEST(OutputHessian, EqualsTheInputsAroundTheGramMatrixOfOutputGradients) {
  const Gradients g;
  at::Tensor exact = at::zeros({kIn, kIn}, at::kDouble);
  for (int64_t i = 0; i < kSequences; ++i) {
    const at::Tensor x = g.x[i].to(at::kDouble), delta = g.delta[i].to(at::kDouble);
    exact += x.t().mm(delta.mm(delta.t())).mm(x);
  }
  OutputHessian hessian(kOut, kIn, at::kCPU);
  hessian.add(g.x, g.delta);
  EXPECT_LT(relative_error(hessian.finish(1).hessian, exact), kRelativeTolerance);
}

TEST(OutputHessian, ProductsOfBFloat16AreExact) {
  const at::Tensor x = at::randn({2, 300, 48}).to(at::kBFloat16);
  const at::Tensor delta = at::randn({2, 40, 300}).to(at::kBFloat16).transpose(1, 2);
  OutputHessian hessian(40, 48, at::kCPU);
  hessian.add(x, delta);
  at::Tensor exact = at::zeros({48, 48}, at::kDouble);
  for (int64_t i = 0; i < 2; ++i) {
    const at::Tensor g = delta[i].to(at::kDouble).t().mm(x[i].to(at::kDouble));
    exact += g.t().mm(g);
  }
  EXPECT_LT(relative_error(hessian.finish(1).hessian, exact), kRelativeTolerance);
}

TEST(OutputHessian, SquaresEachSequenceByItself) {
  const Gradients g;
  OutputHessian together(kOut, kIn, at::kCPU), apart(kOut, kIn, at::kCPU);
  together.add(g.x, g.delta);
  for (int64_t i = 0; i < kSequences; ++i) apart.add(g.x.narrow(0, i, 1), g.delta.narrow(0, i, 1));
  const LinearStatistics a = together.finish(1), b = apart.finish(1);
  EXPECT_LT(relative_error(a.hessian, b.hessian), kRelativeTolerance);
  EXPECT_EQ(a.tokens, b.tokens);
  // one long sequence is something else
  OutputHessian joined(kOut, kIn, at::kCPU);
  joined.add(g.x.reshape({1, -1, kIn}), g.delta.reshape({1, -1, kOut}));
  EXPECT_GT(relative_error(joined.finish(1).hessian, a.hessian), 0.1);
}

TEST(OutputHessian, WithOneTokenASequenceIsTheTokenWeightedOneTimesTheOutputs) {
  const at::Tensor x = at::randn({64, 1, kIn}), delta = at::randn({64, 1, kOut});
  OutputHessian output(kOut, kIn, at::kCPU);
  output.add(x, delta);
  InputHessian weighted(kIn, at::kCPU);
  weighted.add(x.flatten(0, 1), token_weights(delta).flatten());
  EXPECT_LT(relative_error(weighted.finish().hessian * kOut, output.finish(1).hessian),
            kRelativeTolerance);
}

TEST(OutputHessian, RowEnergiesAreTheSquaredRowsOfTheGradients) {
  const Gradients g;
  at::Tensor exact = at::zeros({kOut}, at::kDouble);
  for (int64_t i = 0; i < kSequences; ++i)
    exact += g.delta[i].t().mm(g.x[i]).to(at::kDouble).square().sum(1);
  OutputHessian hessian(kOut, kIn, at::kCPU);
  OutputDiagonal diagonal(kOut, kIn, at::kCPU);
  hessian.add(g.x, g.delta);
  diagonal.add(g.x, g.delta);
  EXPECT_LT(relative_error(hessian.finish(1).row_energies, exact), kRelativeTolerance);
  EXPECT_LT(relative_error(diagonal.finish(1).row_energies, exact), kRelativeTolerance);
}

TEST(OutputHessian, TheCrossMomentIsTheDriftsGradientTimesTheInputs) {
  const Gradients g;
  const at::Tensor original = g.x + at::randn_like(g.x) * 0.3;
  OutputHessian drifting(kOut, kIn, at::kCPU), plain(kOut, kIn, at::kCPU);
  for (int64_t i = 0; i < kSequences; ++i)
    drifting.add(g.x.narrow(0, i, 1), g.delta.narrow(0, i, 1), original.narrow(0, i, 1));
  plain.add(g.x, g.delta);
  const LinearStatistics found = drifting.finish(1);
  EXPECT_LT(
      relative_error(found.cross_moment, reference(original.to(at::kDouble) - g.x, g.x, g.delta)),
      kRelativeTolerance);
  EXPECT_LT(relative_error(found.hessian, plain.finish(1).hessian), kRelativeTolerance);
}

TEST(OutputHessian, TheCrossMomentIsExactlyZeroWhereNothingDrifts) {
  const Gradients g;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    OutputHessian hessian(kOut, kIn, at::kCPU);
    hessian.add(g.x.to(type), g.delta.to(type), g.x.to(type).clone());
    EXPECT_EQ(hessian.finish(kLossScale).cross_moment.abs().max().item<float>(), 0);
  }
  OutputHessian none(kOut, kIn, at::kCPU);
  none.add(g.x, g.delta);
  EXPECT_FALSE(none.finish(1).cross_moment.defined());
}

TEST(TokenWeights, OfRunsOfRowsAverageToThoseOfAllRows) {
  const at::Tensor delta = at::randn({3, 7, 6});
  const at::Tensor all = token_weights(delta), two = token_weights(delta, 2);
  EXPECT_LT(relative_error(all[0], delta.square().mean({-1})), kRelativeTolerance);
  EXPECT_LT(relative_error(two.mean({0}), all[0]), kRelativeTolerance);
  EXPECT_LT(relative_error(two[1], delta.narrow(2, 3, 3).square().mean({-1})), kRelativeTolerance);
  EXPECT_TRUE(token_weights(delta, 6).equal(delta.square().permute({2, 0, 1})));
}

TEST(OutputHessian, TheLossScaleDividesOutExactly) {
  const Gradients g;
  const auto run = [&](double scale) {
    OutputHessian hessian(kOut, kIn, at::kCPU);
    hessian.add(g.x, g.delta * scale);
    return hessian.finish(scale);
  };
  const LinearStatistics plain = run(1), scaled = run(kLossScale);
  EXPECT_TRUE(scaled.hessian.equal(plain.hessian));
  EXPECT_TRUE(scaled.row_energies.equal(plain.row_energies));
}

TEST(OutputDiagonal, IsTheDiagonalOfTheOutputHessian) {
  const Gradients g;
  OutputHessian hessian(kOut, kIn, at::kCPU);
  OutputDiagonal diagonal(kOut, kIn, at::kCPU);
  hessian.add(g.x, g.delta);
  diagonal.add(g.x, g.delta);
  const at::Tensor exact = at::diag(hessian.finish(1).hessian.diagonal());
  EXPECT_LT(relative_error(diagonal.finish(1).hessian, exact), kRelativeTolerance);
}

TEST(Blend, GivesBothMatricesTheSameMeanDiagonal) {
  const at::Tensor a = at::randn({9, kIn}), b = at::randn({9, kIn}) * 100;
  const at::Tensor fisher = a.t().mm(a), input = b.t().mm(b);
  const auto trace = [](const at::Tensor& m) { return m.diagonal().sum().item<float>(); };
  for (const double share : {0.0, 0.25, 1.0})
    EXPECT_NEAR(trace(blended(fisher, input, share)) / trace(fisher), 1, 1e-5) << share;
  EXPECT_TRUE(blended(fisher, input, 0).equal(fisher));
  const at::Tensor all = blended(fisher, input, 1);
  EXPECT_LT(relative_error(all / trace(all), input / trace(input)), kRelativeTolerance);
}

TEST(Blend, MixesCrossMomentsByTheSharesOfTheirHessians) {
  const auto statistics = [](double scale) {
    const at::Tensor a = at::randn({9, kIn}) * scale;
    return LinearStatistics{a.t().mm(a), 9, at::randn({kIn, kIn}) * scale};
  };
  const LinearStatistics input = statistics(100), first = statistics(1), second = statistics(3);
  LinearStatistics runs = first;
  runs.hessian = at::stack({first.hessian, second.hessian});
  runs.cross_moment = at::stack({first.cross_moment, second.cross_moment});
  blend(runs, input, 0.25);
  for (int64_t g = 0; g < 2; ++g) {
    const LinearStatistics& own = g == 0 ? first : second;
    EXPECT_TRUE(runs.hessian[g].equal(blended(own.hessian, input.hessian, 0.25)));
    const double share =
        0.25 * own.hessian.trace().item<double>() / input.hessian.trace().item<double>();
    EXPECT_LT(
        relative_error(runs.cross_moment[g], own.cross_moment * 0.75 + input.cross_moment * share),
        kRelativeTolerance);
  }
}

TEST(Blend, WithoutGradientsIsTheInputHessian) {
  const at::Tensor input = at::eye(3);
  EXPECT_TRUE(blended(at::zeros({3, 3}), input, 0.1).equal(input));
}

}  // namespace
}  // namespace halftone
