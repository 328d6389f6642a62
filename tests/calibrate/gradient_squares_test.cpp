#include "calibrate/gradient_squares.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halftone {
namespace {

constexpr double kTolerance = 1e-6;  // float32 sums of a few hundred squares

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

// More tokens than one task sums, and a last task that is not full.
const std::vector<int64_t> kShape = {3, 111, 10};

TEST(GradientSquares, EqualPlainSumsWhateverTheType) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const at::Tensor delta = at::randn(kShape).to(type), wide = delta.to(at::kDouble).square();
    const at::Tensor weights = at::rand({3, 111});
    const GradientSquares found = gradient_squares(delta, weights, {0, 4, 10});
    EXPECT_LT(relative_error(found.tokens[0], wide.narrow(2, 0, 4).mean(-1)), kTolerance);
    EXPECT_LT(relative_error(found.tokens[1], wide.narrow(2, 4, 6).mean(-1)), kTolerance);
    const at::Tensor sums = (wide * weights.to(at::kDouble).unsqueeze(2)).sum({0, 1});
    EXPECT_LT(relative_error(found.outputs, sums), kTolerance);
    EXPECT_LT(relative_error(squared_lengths(delta), wide.sum(-1)), kTolerance);
  }
}

TEST(GradientSquares, DoNotDependOnHowTensorsLie) {
  const at::Tensor delta = at::randn(kShape), weights = at::rand({3, 111});
  const at::Tensor turned = delta.transpose(0, 2).contiguous().transpose(0, 2);
  const GradientSquares a = gradient_squares(delta, weights, {0, 10}),
                        b = gradient_squares(turned, weights, {0, 10});
  EXPECT_LT(relative_error(a.tokens, b.tokens.to(at::kDouble)), kTolerance);
  EXPECT_LT(relative_error(a.outputs, b.outputs), kTolerance);
}

}  // namespace
}  // namespace halftone
