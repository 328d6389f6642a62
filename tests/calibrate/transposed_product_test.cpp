#include "calibrate/transposed_product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calibrate/cross_moment.h"

namespace halftone {
namespace {

double relative_error(const at::Tensor& a, const at::Tensor& exact) {
  return ((a.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

TEST(TransposedProduct, SumsBFloat16ProductsInFloat32) {
  at::manual_seed(1);
  const at::Tensor a = at::randn({5000, 70}).to(at::kBFloat16),
                   b = at::randn({5000, 33}).to(at::kBFloat16);
  const at::Tensor start = at::randn({70, 33});
  const at::Tensor sum = start.clone();
  add_transposed_product(sum, a, b);
  const at::Tensor exact = start.to(at::kDouble) + a.to(at::kDouble).t().mm(b.to(at::kDouble));
  EXPECT_LT(relative_error(sum, exact), 1e-6);
}

TEST(TransposedProduct, WritesOnlyThePartItIsGiven) {
  const at::Tensor x = at::ones({8, 6}, at::kBFloat16), all = at::zeros({6, 6});
  add_transposed_product(all.narrow(0, 1, 2).narrow(1, 3, 3), x.narrow(1, 1, 2), x.narrow(1, 3, 3));
  EXPECT_EQ(all.sum().item<double>(), 8 * 2 * 3);
  EXPECT_EQ(all.narrow(0, 1, 2).narrow(1, 3, 3).sum().item<double>(), 8 * 2 * 3);
}

// The drift is a difference of bfloat16 numbers, which bfloat16 itself would round.
TEST(CrossMoment, KeepsTheDriftOfBFloat16StreamsToFloat32Rounding) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({4000, 48}).to(at::kBFloat16);
  const at::Tensor original = (x.to(at::kFloat) + 0.01 * at::randn({4000, 48})).to(at::kBFloat16);
  CrossMoment moment(48, at::kCPU);
  moment.add(x, original);
  const at::Tensor exact = (original.to(at::kDouble) - x.to(at::kDouble)).t().mm(x.to(at::kDouble));
  EXPECT_LT(relative_error(moment.finish(), exact), 1e-5);
}

TEST(CrossMoment, IsZeroWhereTheStreamsAgree) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({3000, 20}).to(at::kBFloat16);
  at::Tensor original = x.clone();
  original.select(1, 7).add_(0.5);
  CrossMoment moment(20, at::kCPU);
  moment.add(x, original);
  const at::Tensor sum = moment.finish();
  for (int64_t row = 0; row < 20; ++row)
    EXPECT_EQ(sum[row].ne(0).any().item<bool>(), row == 7) << row;
}

}  // namespace
}  // namespace halftone
