#include "matrix/triangular.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "matrix/permuted.h"

namespace halftone {
namespace {

constexpr double kExact = 1e-13, kTwoParts = 1e-4;  // relative, Frobenius; float64, split float32

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

// More columns than one panel, and not a multiple of it.
TEST(Triangular, ProductsEqualThoseWithTheZeros) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({40, 1100}, at::kDouble),
                   square = at::randn({1100, 1100}, at::kDouble);
  const at::Tensor upper = at::triu(square), other = at::triu(at::randn({1100, 1100}, at::kDouble));
  EXPECT_LT(difference(times_upper(x, upper), x.mm(upper)), kExact);
  EXPECT_LT(difference(times_transposed_upper(x, upper), x.mm(upper.t())), kExact);
  EXPECT_LT(difference(times_upper(other, upper, true), other.mm(upper)), kExact);
  EXPECT_EQ(at::tril(times_upper(other, upper, true), -1).abs().max().item<double>(), 0);
}

TEST(Triangular, ProductsOfTwoPartMatricesAreThoseToFourDigits) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({300, 1100}), upper = at::triu(at::randn({1100, 1100}));
  const TwoPartMatrix left(x), right(upper);
  EXPECT_LT(difference(times_upper(left, right), x.mm(upper)), kTwoParts);
  EXPECT_LT(difference(times_transposed_upper(left, right), x.mm(upper.t())), kTwoParts);
}

TEST(Permuted, TakesRowsAndColumnsInOneOrder) {
  at::manual_seed(3);
  const at::Tensor matrix = at::randn({5, 5});
  const std::vector<int64_t> order = {3, 0, 4, 1, 2};
  const at::Tensor result = permuted(matrix, order, 2, at::kDouble);
  ASSERT_EQ(result.scalar_type(), at::kDouble);
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 5; ++j)
      EXPECT_EQ(result[i][j].item<double>(), 2.0 * matrix[order[i]][order[j]].item<float>());
}

}  // namespace
}  // namespace halftone
