// The adaptive-LASSO rule; methods.md 11, identity 13.
#include "quantize/outliers/lasso.h"

#include "layers.h"
#include "reference_split.h"

namespace halftone::testing {
namespace {

std::vector<bool> members_of(const OutlierMask& mask) {
  const at::Tensor members = mask.members.contiguous();
  const bool* first = members.const_data_ptr<bool>();
  return std::vector<bool>(first, first + members.numel());
}

int64_t count_of(const OutlierMask& mask) {
  return mask.members.sum().item<int64_t>();
}

// Identity 13.
TEST(Lasso, SelectionIsTheTopShareByMagnitudeAndTheThresholdOfTheRootOfLambda) {
  for (const double share : {0.01, 0.05, 0.31, 1.0}) {
    const at::Tensor weight = normal({13, 77}, 5);
    const OutlierMask mask = lasso_outliers(weight, share);
    const int64_t count = std::llround(share * 13 * 77);
    EXPECT_EQ(members_of(mask), reference_lasso(to_matrix(weight).values, count));
    const double lambda = mask.least * mask.least * (1 - 1e-12);
    EXPECT_TRUE(mask.members.equal(weight.abs() > std::sqrt(lambda)));
    const at::Tensor sorted = std::get<0>(weight.abs().reshape({-1}).sort(0, true));
    EXPECT_EQ(mask.least, sorted[count - 1].item<double>());
    EXPECT_EQ(count_of(mask), count);
  }
}

TEST(Lasso, TiesGoToTheFirstInRowMajorOrder) {
  at::Tensor weight = at::full({4, 5}, 0.5, at::kDouble);
  weight.index_put_({at::tensor({2}), at::tensor({1})}, -3.0);
  weight.index_put_({at::tensor({0}), at::tensor({1})}, -0.5);
  const OutlierMask mask = lasso_outliers(weight, 0.2);  // four of twenty
  at::Tensor expected = at::zeros({4, 5}, at::kBool);
  expected.narrow(0, 0, 1).narrow(1, 0, 3).fill_(true);
  expected[2][1] = true;
  EXPECT_TRUE(mask.members.equal(expected));
  EXPECT_EQ(mask.least, 0.5);
  EXPECT_EQ(members_of(mask), reference_lasso(to_matrix(weight).values, 4));
}

TEST(Lasso, ZerosAreNeverOutliersAndNoShareIsNone) {
  at::Tensor weight = at::zeros({3, 8});
  EXPECT_EQ(count_of(lasso_outliers(weight, 0.5)), 0);
  weight[1][4] = -1e-30F;
  weight[2][0] = 2.0F;
  const OutlierMask all = lasso_outliers(weight, 1.0);
  EXPECT_EQ(count_of(all), 2);
  EXPECT_EQ(all.least, static_cast<double>(1e-30F));
  const OutlierMask none = lasso_outliers(weight, 0.0);
  EXPECT_EQ(count_of(none), 0);
  EXPECT_EQ(none.least, 0);
}

TEST(Lasso, Float32AndTransposedStorageSelectTheSame) {
  const at::Tensor weight = normal({40, 64}, 8).to(at::kFloat);
  const at::Tensor expected = lasso_outliers(weight, 0.07).members;
  EXPECT_TRUE(lasso_outliers(weight.t().contiguous().t(), 0.07).members.equal(expected));
  EXPECT_TRUE(lasso_outliers(weight.to(at::kDouble), 0.07).members.equal(expected));
}

}  // namespace
}  // namespace halftone::testing
