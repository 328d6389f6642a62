#include "calibrate/cross_entropy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>

namespace halftone {
namespace {

constexpr double kFloat32Tolerance = 2e-6, kBFloat16Tolerance = 1.0 / 256;  // of gradients up to 1
constexpr double kLossTolerance = 1e-5;  // float32 logits near 10

TEST(CrossEntropy, InRowsEqualsSeparateOperationsInDouble) {
  const at::Tensor logits = (at::randn({5, 300}) * 3).to(at::kBFloat16).to(at::kDouble);
  const at::Tensor labels = at::randint(300, {5});
  at::Tensor expected_loss = at::empty({5}, at::kDouble);
  const at::Tensor expected = differentiate_cross_entropy(logits.clone(), labels, expected_loss);
  EXPECT_LT(expected.sum(1).abs().max().item<double>(), 1e-12);  // p sums to 1
  for (const auto& [type, tolerance] :
       {std::pair{at::kFloat, kFloat32Tolerance}, {at::kBFloat16, kBFloat16Tolerance}}) {
    at::Tensor loss = at::empty({5}, at::kDouble);
    const at::Tensor found = differentiate_cross_entropy(logits.to(type).clone(), labels, loss);
    EXPECT_EQ(found.scalar_type(), type);
    EXPECT_LT((found.to(at::kDouble) - expected).abs().max().item<double>(), tolerance);
    EXPECT_LT((loss - expected_loss).abs().max().item<double>(), kLossTolerance);
  }
}

}  // namespace
}  // namespace halftone
