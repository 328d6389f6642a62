#include "model/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halftone {
namespace {

TEST(Linear, AppliesWeightAndBias) {
  const at::Tensor weight = at::tensor({1.0, 2.0, 3.0, 4.0}).view({2, 2});
  const at::Tensor x = at::tensor({10.0, 1.0}).view({1, 2});
  EXPECT_TRUE(Linear{weight}.apply(x).equal(at::tensor({12.0, 34.0}).view({1, 2})));
  const Linear biased{weight, at::tensor({0.5, -0.5})};
  EXPECT_TRUE(biased.apply(x).equal(at::tensor({12.5, 33.5}).view({1, 2})));
}

TEST(Linear, PreparesItsInputsOnlyWhereTheyAreRotated) {
  const KroneckerMatrix rotation = hadamard(12, 1);
  const at::Tensor x = at::randn({2, 3, 12});
  const at::Tensor weight = at::randn({4, 12});
  EXPECT_TRUE(Linear{weight}.prepared(x).is_same(x));
  const at::Tensor turned = Linear{weight, {}, &rotation}.prepared(x);
  EXPECT_TRUE(turned.equal(multiply(x, rotation)));
}

TEST(Linear, RoundsARotatedInputOfANarrowTypeOnce) {
  const KroneckerMatrix rotation = hadamard(64, 1);
  const at::Tensor x = at::randn({3, 64}).to(at::kBFloat16);
  const at::Tensor turned = Linear{at::randn({4, 64}), {}, &rotation}.prepared(x);
  EXPECT_TRUE(turned.equal(multiply(x.to(at::kFloat), rotation).to(at::kBFloat16)));
}

}  // namespace
}  // namespace halftone
