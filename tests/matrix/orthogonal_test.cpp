#include "matrix/orthogonal.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halftone {
namespace {

constexpr double kFloat64 = 1e-12;

double largest(const at::Tensor& x) {
  return x.abs().max().item<double>();
}

TEST(Hadamard, IsOrthonormalForEverySizeOfTheField) {  // methods.md 11, identity 17
  for (const int64_t n :
       {1, 2, 8, 12, 16, 20, 28, 36, 40, 44, 60, 64, 76, 108, 128, 140, 148, 192, 576, 960}) {
    const KroneckerMatrix matrix = hadamard(n, 0);
    ASSERT_EQ(matrix.order(), n);
    const at::Tensor dense = matrix.dense();
    EXPECT_LT(largest(dense.mm(dense.t()) - at::eye(n, at::kDouble)), kFloat64) << n;
    EXPECT_TRUE(is_flat(matrix)) << n;
  }
}

TEST(Hadamard, OddPartsWithoutAConstructionAreRandomOrthogonal) {
  for (const int64_t n : {3, 9, 172, 43 * 64}) {
    const KroneckerMatrix matrix = hadamard(n, 7);
    const at::Tensor dense = matrix.dense();
    ASSERT_EQ(dense.size(0), n);
    EXPECT_LT(largest(dense.mm(dense.t()) - at::eye(n, at::kDouble)), kFloat64) << n;
    EXPECT_FALSE(is_flat(matrix)) << n;
    EXPECT_TRUE(hadamard(n, 7).dense().equal(dense));
  }
}

TEST(Hadamard, MultiplyingEqualsTheDenseProduct) {
  for (const int64_t n : {1, 12, 64, 128, 172, 576}) {
    const KroneckerMatrix matrix = hadamard(n, 3);
    const at::Tensor x = at::randn({2, 5, n}, at::kDouble);
    EXPECT_LT(largest(multiply(x, matrix) - at::matmul(x, matrix.dense())), kFloat64 * 10) << n;
  }
}

TEST(Hadamard, SaysHowItIsMade) {
  EXPECT_EQ(describe_hadamard(4096), "4096 (Sylvester)");
  EXPECT_EQ(describe_hadamard(576), "36 x 16 (Paley II)");
  EXPECT_EQ(describe_hadamard(1536), "12 x 128 (Paley I)");
  EXPECT_EQ(describe_hadamard(14336), "28 x 512 (Paley II)");
  EXPECT_EQ(describe_hadamard(172), "43 x 4 (random orthogonal, not flat)");
}

TEST(RandomSigns, AreRepeatableAndBalanced) {
  const at::Tensor signs = random_signs(10000, 5);
  EXPECT_TRUE(signs.equal(random_signs(10000, 5)));
  EXPECT_EQ(largest(signs.abs() - 1), 0);
  EXPECT_LT(std::abs(signs.sum().item<double>()), 400);  // four standard deviations
}

}  // namespace
}  // namespace halftone
