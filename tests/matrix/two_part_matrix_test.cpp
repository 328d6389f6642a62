#include "matrix/two_part_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "kernels/mixed_product.h"
#include "kernels/products.h"

namespace halftone {
namespace {

at::Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn(shape, at::kDouble);
}

// In parts of the sum of |a_ij b_jk|.
const double kSplit = std::ldexp(1, -15);
constexpr double kFloat32 = 1e-6, kFloat64 = 1e-14;

// The greatest error of c + a b in parts of what an entry is made of; x, y: a, b as they are.
double greatest_error(const TwoPartMatrix& a, const TwoPartMatrix& b, const at::Tensor& x,
                      const at::Tensor& y) {
  at::Tensor wide = at::full({x.size(0), y.size(1) + 5}, 7, x.options());  // rows apart
  const at::Tensor c = wide.narrow(1, 2, y.size(1));
  const at::Tensor start = normal({x.size(0), y.size(1)}, 3).to(x.scalar_type());
  c.copy_(start);
  add_product(c, a, b);
  EXPECT_TRUE(wide.narrow(1, 0, 2).eq(7).all().item<bool>());
  EXPECT_TRUE(wide.narrow(1, y.size(1) + 2, 3).eq(7).all().item<bool>());
  const at::Tensor left = x.to(at::kDouble), right = y.to(at::kDouble);
  const at::Tensor error = (c.to(at::kDouble) - start.to(at::kDouble) - left.mm(right)).abs();
  return (error / (start.abs() + left.abs().mm(right.abs()))).max().item<double>();
}

double greatest_error_split(const at::Tensor& x, const at::Tensor& y) {
  return greatest_error(TwoPartMatrix(x), TwoPartMatrix(y), x, y);
}

// Each kind of products, whatever is faster here; those of bfloat16 where the library has them.
class TwoPartMatrixWith : public ::testing::TestWithParam<Products> {
 protected:
  void SetUp() override {
    if (GetParam() != Products::kFloat32 && !has_mixed_product())
      GTEST_SKIP() << "no mixed product";
    use_products(GetParam());
  }
  void TearDown() override { use_products(fastest_products()); }
};
INSTANTIATE_TEST_SUITE_P(
    EachKind, TwoPartMatrixWith,
    ::testing::Values(Products::kFloat32, Products::kBFloat16, Products::kTwoParts),
    [](const auto& kind) {
      return std::string(kind.param == Products::kTwoParts ? "TwoParts" : name_of(kind.param));
    });

TEST_P(TwoPartMatrixWith, IsBFloat16WhereItIsToBe) {
  const at::Tensor large = normal({500, 500}, 1).to(at::kFloat);
  EXPECT_EQ(TwoPartMatrix(large).is_bfloat16(), GetParam() == Products::kTwoParts);
  EXPECT_EQ(TwoPartMatrix(large.to(at::kBFloat16)).is_bfloat16(), GetParam() != Products::kFloat32);
}

// Large enough to be split, and not.
TEST_P(TwoPartMatrixWith, OfSplitMatricesIsRightToFourDigitsAndInFloat64Exact) {
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{500, 700, 400}, {30, 20, 50}}) {
    const at::Tensor x = normal({m, k}, 1), y = normal({k, n}, 2);
    EXPECT_LT(greatest_error_split(x, y), kFloat64);
    EXPECT_LT(greatest_error_split(x.to(at::kFloat), y.to(at::kFloat)), kSplit);
  }
}

TEST_P(TwoPartMatrixWith, OfWhatBFloat16HoldsIsExactToFloat32) {
  const at::Tensor x = normal({500, 400}, 1).to(at::kBFloat16).to(at::kFloat);
  const at::Tensor y = normal({400, 700}, 2).to(at::kBFloat16).to(at::kFloat);
  EXPECT_LT(greatest_error_split(x, y), kFloat32);
}

TEST_P(TwoPartMatrixWith, TakesBFloat16AsItIsBesideFloat32) {
  for (const int64_t size : {30, 500}) {
    const at::Tensor x = normal({size, size}, 1).to(at::kBFloat16);
    const at::Tensor y = normal({size, size}, 2).to(at::kFloat), wide = x.to(at::kFloat);
    EXPECT_LT(greatest_error(TwoPartMatrix(x), TwoPartMatrix(x), wide, wide), kFloat32);
    EXPECT_LT(greatest_error(TwoPartMatrix(x), TwoPartMatrix(y), wide, y), kSplit);
    EXPECT_LT(greatest_error(TwoPartMatrix(y), TwoPartMatrix(x), y, wide), kSplit);
  }
}

TEST_P(TwoPartMatrixWith, TakesOneRowOrColumn) {
  const at::Tensor row = normal({1, 300}, 1).to(at::kBFloat16), column = row.t().contiguous();
  const at::Tensor wide = row.to(at::kFloat), tall = column.to(at::kFloat);
  EXPECT_LT(greatest_error(TwoPartMatrix(row), TwoPartMatrix(column), wide, tall), kFloat32);
  EXPECT_LT(greatest_error(TwoPartMatrix(column).t(), TwoPartMatrix(column), wide, tall), kFloat32);
  EXPECT_LT(greatest_error(TwoPartMatrix(column), TwoPartMatrix(row), tall, wide), kFloat32);
  EXPECT_LT(greatest_error(TwoPartMatrix(row).t(), TwoPartMatrix(row), tall, wide), kFloat32);
}

TEST_P(TwoPartMatrixWith, TakesPartsOfSplitMatricesAndTransposedOnes) {
  const at::Tensor whole = normal({900, 900}, 4).to(at::kFloat);
  const TwoPartMatrix split(whole);
  const auto part = [](const auto& of, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    return of.narrow(0, row, rows).narrow(1, column, columns);
  };
  const auto expect_near = [&](const TwoPartMatrix& a, const TwoPartMatrix& b, const at::Tensor& x,
                               const at::Tensor& y) {
    EXPECT_LT(greatest_error(a, b, x, y), kSplit);
  };
  const auto a = [&](const auto& of) { return part(of, 100, 500, 7, 400); };
  const auto a_turned = [&](const auto& of) { return part(of, 7, 400, 100, 500).t(); };
  const auto b = [&](const auto& of) { return part(of, 3, 400, 300, 600); };
  const auto b_turned = [&](const auto& of) { return part(of, 300, 600, 3, 400).t(); };
  expect_near(a(split), b(split), a(whole), b(whole));
  expect_near(a_turned(split), b(split), a_turned(whole), b(whole));
  expect_near(a(split), b_turned(split), a(whole), b_turned(whole));
  expect_near(a_turned(split), b_turned(split), a_turned(whole), b_turned(whole));
  expect_near(TwoPartMatrix(a(whole)), TwoPartMatrix(b(whole)), a(whole), b(whole));
}

TEST_P(TwoPartMatrixWith, CountsAMultipleSplitOrNot) {
  for (const int64_t size : {30, 600}) {
    const at::Tensor x = normal({size, size}, 5).to(at::kFloat), y = -3 * x;
    EXPECT_LT(greatest_error(TwoPartMatrix(x, -3).t(), TwoPartMatrix(x), y.t(), x), kSplit);
  }
}

TEST_P(TwoPartMatrixWith, StartsFromZeroByItself) {
  const at::Tensor x = normal({4, 6}, 5), y = normal({6, 3}, 6);
  EXPECT_LT((product(TwoPartMatrix(x), TwoPartMatrix(y)) - x.mm(y)).abs().max().item<double>(),
            kFloat64);
}

// Here, where the library is linked, so that a name which it does not export is found.
TEST(ProductTimes, AreTakenWhereTheLibraryHasBothProducts) {
  if (!has_mixed_product()) GTEST_SKIP() << "no mixed product";
  for (const ProductTimes& times : product_times()) {
    EXPECT_GT(times.float32, 0);
    EXPECT_GT(times.mixed, 0);
  }
}

}  // namespace
}  // namespace halftone
