#include "calibrate/stage_sums.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "calibrate/stage_statistics.h"

namespace halftone {
namespace {

constexpr double kRounding = 1e-5;  // float32 sums in another order
constexpr int64_t kSequences = 6, kLength = 8;

double relative_error(const at::Tensor& a, const at::Tensor& exact) {
  return ((a - exact).norm() / exact.norm()).item<double>();
}

LinearSlot slot(const char* name, int64_t in, size_t input) {
  LinearSlot linear;
  linear.name = name;
  linear.out = 3;
  linear.in = in;
  linear.input = input;
  return linear;
}

// A stage of two experts: the first one's linears are narrower, and each reads the tokens that are
// sent to it.
struct Experts {
  std::vector<LinearSlot> linears = {slot("0.gate", 5, 0), slot("0.up", 5, 0), slot("1.up", 9, 1)};
  at::Tensor sent = at::rand({kSequences, kLength, 1}).lt(0.4).to(at::kFloat);
  at::Tensor first = at::randn({kSequences, kLength, 5}) * sent;
  at::Tensor second = at::randn({kSequences, kLength, 9}) * (1 - sent);
  Sequences sequences{at::zeros({kSequences, kLength}, at::kInt), 4 * kLength};

  // What is asked for, with inputs of the full-precision model that are twice as large.
  std::vector<LinearStatistics> sums(const std::vector<StageSum>& asked, bool two_streams) {
    StageSums sums(linears, asked, two_streams, sequences, at::kCPU);
    for (const Batch& batch : sequences.batches()) {
      const auto part = [&](const at::Tensor& x) {
        return StageInput{x.narrow(0, batch.first, batch.count)};
      };
      const std::vector<StageInput> inputs = {part(first), part(second)};
      std::vector<StageInput> original;
      if (two_streams) original = {part(first * 2), part(second * 2)};
      sums.add(batch, inputs, original);
    }
    return sums.finish();
  }
};

at::Tensor gram_matrix(const at::Tensor& x) {
  return x.flatten(0, 1).t().mm(x.flatten(0, 1));
}

TEST(StageSums, EachInputIsSummedByItself) {
  Experts experts;
  const auto sums = experts.sums({{0}, {1}}, true);
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_LT(relative_error(sums[0].hessian, gram_matrix(experts.first)), kRounding);
  EXPECT_LT(relative_error(sums[1].hessian, gram_matrix(experts.second)), kRounding);
  for (const LinearStatistics& own : sums)  // Xf - X = X
    EXPECT_LT(relative_error(own.cross_moment, own.hessian), kRounding);
}

TEST(StageSums, AnswersComeInTheOrderTheyWereAskedForIn) {
  Experts experts;
  const TokenWeights runs{at::rand({2, kSequences, kLength})};
  const auto sums = experts.sums({{1}, {0, runs}, {1, {runs.values.narrow(0, 1, 1)}}, {0}}, false);
  ASSERT_EQ(sums.size(), 4u);
  EXPECT_LT(relative_error(sums[0].hessian, gram_matrix(experts.second)), kRounding);
  ASSERT_EQ(sums[1].hessian.dim(), 3);
  for (int64_t run = 0; run < 2; ++run)
    EXPECT_LT(relative_error(sums[1].hessian[run],
                             gram_matrix(experts.first * runs.values[run].sqrt().unsqueeze(2))),
              kRounding);
  EXPECT_LT(relative_error(sums[2].hessian,
                           gram_matrix(experts.second * runs.values[1].sqrt().unsqueeze(2))),
            kRounding);
  EXPECT_LT(relative_error(sums[3].hessian, gram_matrix(experts.first)), kRounding);
  EXPECT_FALSE(sums[3].cross_moment.defined());
}

TEST(StageSums, ASequenceIsLeftOutOfTheInputThatIsNotFinite) {
  Experts experts;
  experts.second[2][3].fill_(std::numeric_limits<float>::quiet_NaN());
  const auto sums = experts.sums({{0}, {1}}, false);
  EXPECT_EQ(sums[0].skipped_sequences, 0);
  EXPECT_EQ(sums[1].skipped_sequences, 1);
  EXPECT_EQ(sums[1].tokens, (kSequences - 1) * kLength);
  EXPECT_LT(relative_error(sums[0].hessian, gram_matrix(experts.first)), kRounding);
  EXPECT_TRUE(sums[1].hessian.isfinite().all().item<bool>());
  EXPECT_EQ(experts.sequences.left_out(), 1);
}

TEST(StageStatistics, ALinearHasItsOwnOrThoseOfTheInputItReads) {
  const Experts experts;
  StageStatistics statistics;
  EXPECT_FALSE(statistics.of(experts.linears[2]).hessian.defined());  // nothing was measured
  statistics.inputs = {{at::eye(5)}, {at::eye(9)}};
  statistics.linears["0.up"] = {at::zeros({5, 5})};
  const auto hessian_of = [&](size_t i) { return statistics.of(experts.linears[i]).hessian; };
  EXPECT_TRUE(hessian_of(0).is_same(statistics.inputs[0].hessian));
  EXPECT_TRUE(hessian_of(1).equal(at::zeros({5, 5})));
  EXPECT_TRUE(hessian_of(2).is_same(statistics.inputs[1].hessian));
  statistics.linears["1.up"] = {};  // asks for no statistics
  EXPECT_FALSE(hessian_of(2).defined());
}

}  // namespace
}  // namespace halftone
