#include "checkpoint/weight_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halftone {
namespace {

// One matrix; remembers how many rows were asked for at once, at most.
class OneMatrix final : public WeightSource {
 public:
  explicit OneMatrix(at::Tensor matrix) : matrix_(std::move(matrix)) {}
  const nlohmann::json& config() const override { return config_; }
  std::vector<std::string> names() const override { return {"m"}; }
  bool contains(std::string_view name) const override { return name == "m"; }
  WeightInfo info(std::string_view) const override {
    return {matrix_.sizes().vec(), matrix_.scalar_type()};
  }
  at::Tensor load(std::string_view) const override { return matrix_; }
  at::Tensor load_rows(std::string_view name, const at::Tensor& index) const override {
    most_rows = std::max(most_rows, index.numel());
    return WeightSource::load_rows(name, index);
  }
  void release(std::string_view) const override {}

  mutable int64_t most_rows = 0;

 private:
  nlohmann::json config_;
  at::Tensor matrix_;
};

TEST(WeightSource, RowsComeInTheOrderInWhichTheyAreAskedFor) {
  const OneMatrix source(at::arange(12, at::kFloat).view({4, 3}));
  const at::Tensor index = at::tensor({3, 0, 3}, at::kLong);
  EXPECT_TRUE(source.load_rows("m", index)[0].equal(source.load("m")[3]));
  EXPECT_TRUE(source.load_rows("m", index)[1].equal(source.load("m")[0]));
}

TEST(WeightSource, ACopyOfALargeMatrixIsMadeAFewRowsAtATime) {
  const OneMatrix large(at::randn({5000, 1000}));
  const at::Tensor copy = load_copy(large, "m", at::kCPU, at::kBFloat16);
  EXPECT_TRUE(copy.equal(large.load("m").to(at::kBFloat16)));
  EXPECT_GT(large.most_rows, 0);
  EXPECT_LT(large.most_rows, 5000);
}

TEST(WeightSource, ACopyIsNeverTheSourcesOwnMemory) {
  const OneMatrix small(at::randn({5, 10}));
  const at::Tensor copy = load_copy(small, "m", at::kCPU, at::kFloat);
  EXPECT_TRUE(copy.equal(small.load("m")));
  EXPECT_NE(copy.data_ptr(), small.load("m").data_ptr());
}

}  // namespace
}  // namespace halftone
