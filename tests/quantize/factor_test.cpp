// methods.md 7.2, 2.5, 2.6 and 11, identity 1.
#include "quantize/factor.h"

#include "layers.h"
#include "quantize/order.h"

namespace halftone::testing {
namespace {

constexpr double kExact = 1e-10;  // float64, relative
constexpr double kFloat =
    2e-3;  // float32, relative: condition numbers of the test matrices are about 1e3

std::vector<int64_t> natural(int64_t in) {
  return column_order(OrderKind::kNatural, std::vector<double>(in));
}

Factor factor_of(const at::Tensor& hessian, double share, at::ScalarType type) {
  const HessianDiagonal diagonal = diagonal_of(hessian, DampingReference::kMean);
  return factor_inverse(hessian, diagonal, natural(hessian.size(0)), share, type);
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

class FactorOfSize : public ::testing::TestWithParam<int64_t> {};

// sizes around the leaf of the halving and its multiples
INSTANTIATE_TEST_SUITE_P(Columns, FactorOfSize, ::testing::Values(1, 2, 172, 256, 257, 700));

TEST_P(FactorOfSize, UpperFactorInvertsTheDampedHessian) {
  const int64_t in = GetParam();
  const Layer layer = random_layer(1, in);
  const at::Tensor damped =
      layer.hessian + 0.01 * layer.hessian.diagonal().mean() * at::eye(in, at::kDouble);
  const double scale = diagonal_of(layer.hessian, DampingReference::kMean).normalizer();
  const at::Tensor upper = factor_of(layer.hessian, 0.01, at::kDouble).upper;
  const at::Tensor identity = upper.t().matmul(upper).matmul(damped * scale);
  EXPECT_LT(relative_difference(identity, at::eye(in, at::kDouble)), kExact);
  EXPECT_EQ(upper.tril(-1).abs().sum().item<double>(), 0);
  const at::Tensor single = factor_of(layer.hessian.to(at::kFloat), 0.01, at::kFloat).upper;
  EXPECT_LT(relative_difference(single.to(at::kDouble), upper), kFloat);
}

TEST_P(FactorOfSize, UpperFactorIsTheCholeskyFactorOfTheInverse) {
  const Layer layer = random_layer(1, GetParam(), 5);
  const double scale = diagonal_of(layer.hessian, DampingReference::kMean).normalizer();
  const at::Tensor damped =
      layer.hessian + 0.01 * layer.hessian.diagonal().mean() * at::eye(GetParam(), at::kDouble);
  EXPECT_LT(
      relative_difference(factor_of(layer.hessian, 0.01, at::kDouble).upper,
                          at::linalg_cholesky(at::linalg_inv(damped * scale), /*upper=*/true)),
      kExact);
}

TEST(Factor, EqualsTheOneByPlainLoops) {
  const Layer layer = random_layer(1, 60);
  const double scale = diagonal_of(layer.hessian, DampingReference::kMean).normalizer();
  const at::Tensor upper = factor_of(layer.hessian, 0, at::kDouble).upper;
  const Matrix expected = reference_upper(to_matrix(layer.hessian * scale));
  const Matrix found = to_matrix(upper);
  for (size_t i = 0; i < found.values.size(); ++i)
    EXPECT_NEAR(found.values[i], expected.values[i], kExact);
}

TEST(Factor, ScalingByAnyPowerOfTwoChangesNoBit) {
  const at::Tensor hessian = random_layer(1, 300).hessian;
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor upper = factor_of(hessian.to(type), 0.01, type).upper;
    for (const int power : {-37, -1, 1, 2, 15})
      EXPECT_TRUE(
          factor_of(hessian.to(type) * std::ldexp(1.0, power), 0.01, type).upper.equal(upper))
          << power;
  }
}

TEST(Factor, DeadColumnsNeedNoDamping) {
  at::Tensor hessian = random_layer(1, 40).hessian;
  hessian.select(0, 3).zero_();
  hessian.select(1, 3).zero_();
  const HessianDiagonal diagonal = diagonal_of(hessian, DampingReference::kMean);
  const at::Tensor upper = factor_of(hessian, 0, at::kDouble).upper;
  ASSERT_TRUE(upper.defined());
  EXPECT_NEAR(upper[3][3].item<double>(), 1 / std::sqrt(diagonal.reference * diagonal.normalizer()),
              kExact);
}

TEST(Factor, FailingPivotIsReturned) {
  for (const int64_t in : {40, 700}) {
    at::Tensor hessian = at::eye(in, at::kDouble) * 4;
    // columns 3 and 5 with a correlation above 1: not positive definite, found when column 3 is
    // reached
    hessian.index_put_({at::tensor({3, 5}), at::tensor({5, 3})}, at::tensor(9.0, at::kDouble));
    const Factor factor = factor_of(hessian, 0.01, at::kDouble);
    EXPECT_FALSE(factor.upper.defined());
    EXPECT_EQ(factor.failing_pivot, 3);
  }
}

TEST(Factor, LadderRaisesTheDampingAndSaysSo) {
  at::Tensor hessian = at::eye(40, at::kDouble);
  hessian.index_put_({at::tensor({3, 5}), at::tensor({5, 3})}, at::tensor(1.5, at::kDouble));
  const HessianDiagonal diagonal = diagonal_of(hessian, DampingReference::kMean);
  const DampedFactor factor = factor_with_ladder(hessian, diagonal, natural(40), 0.01);
  EXPECT_TRUE(factor.upper.defined());
  EXPECT_DOUBLE_EQ(factor.share, 1);
  EXPECT_EQ(factor.steps,
            "damping 0.1 (pivot 3 of 40 not positive); damping 1 (pivot 3 of 40 not positive)");
}

TEST(Factor, HopelessMatrixHasNoFactor) {
  at::Tensor hessian = at::eye(8, at::kDouble);
  hessian.index_put_({at::tensor({3, 5}), at::tensor({5, 3})}, at::tensor(100.0, at::kDouble));
  const HessianDiagonal diagonal = diagonal_of(hessian, DampingReference::kMean);
  EXPECT_FALSE(factor_with_ladder(hessian, diagonal, natural(8), 0.01).upper.defined());
}

TEST(Factor, NanIsAFailingPivot) {
  for (const int64_t in : {20, 600}) {
    at::Tensor hessian = at::eye(in, at::kDouble);
    hessian.index_put_({at::tensor({7}), at::tensor({2})}, at::tensor(NAN, at::kDouble));
    hessian.index_put_({at::tensor({2}), at::tensor({7})}, at::tensor(NAN, at::kDouble));
    EXPECT_GE(factor_of(hessian, 0.01, at::kDouble).failing_pivot, 0) << in;
  }
}

TEST(HessianDiagonal, ReferenceCountsLiveColumnsOnly) {
  const at::Tensor hessian = at::diag(at::tensor({4.0, 0.0, 1.0, 10.0, 0.0, 3.0}, at::kDouble));
  const HessianDiagonal mean = diagonal_of(hessian, DampingReference::kMean);
  EXPECT_EQ(mean.dead, (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(mean.reference, 4.5);
  EXPECT_EQ(diagonal_of(hessian, DampingReference::kMedian).reference, 3.5);
}

TEST(HessianDiagonal, NegativeNanOrAllZeroIsNotUsable) {
  for (const double bad : {-1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    const at::Tensor diagonal = at::diag(at::tensor({1.0, bad}, at::kDouble));
    EXPECT_FALSE(diagonal_of(diagonal, DampingReference::kMean).usable);
  }
  EXPECT_FALSE(diagonal_of(at::zeros({3, 3}), DampingReference::kMean).usable);
}

TEST(ColumnOrder, ActivationOrderIsDescendingAndStable) {
  EXPECT_EQ(column_order(OrderKind::kActivation, std::vector<double>{1, 3, 0, 3, 2}),
            (std::vector<int64_t>{1, 3, 4, 0, 2}));
}

TEST(Grouping, BlocksOfDynamicGroupsNeverCutAGroup) {
  const auto width = [](int64_t group) {
    return block_width(group_columns(natural(4096), group, false));
  };
  EXPECT_EQ(width(96), 96);
  EXPECT_EQ(width(32), 128);
  EXPECT_EQ(width(48), 96);
  EXPECT_EQ(width(1024), 1024);
  EXPECT_EQ(block_width(group_columns(natural(4096), 96, true)), 128);
  EXPECT_EQ(block_width(group_columns(natural(4096), 32, false), 96), 96);
  EXPECT_EQ(block_width(group_columns(natural(4096), 32, false), 256), 256);
  EXPECT_EQ(width(0), 128);  // one group is static
}

}  // namespace
}  // namespace halftone::testing
