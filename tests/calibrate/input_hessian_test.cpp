#include "calibrate/input_hessian.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>

namespace halftone {
namespace {

constexpr double kRelativeTolerance = 1e-6;  // Frobenius; float32 sums against float64
constexpr double kTwoParts = 1e-5;           // wide float32 inputs are split into bfloat16 ones

double relative_error(const at::Tensor& a, const at::Tensor& exact) {
  return ((a.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

TEST(InputHessian, EqualsThePlainProductForAnyWidth) {
  for (const int64_t in : {1, 5, 64, 172, 193, 576, 1000}) {
    const at::Tensor x = at::randn({300, in});
    InputHessian hessian(in, at::kCPU);
    hessian.add(x.narrow(0, 0, 100));
    hessian.add(x.narrow(0, 100, 200));
    const LinearStatistics statistics = hessian.finish();
    EXPECT_EQ(statistics.tokens, 300);
    const at::Tensor exact = x.to(at::kDouble).t().mm(x.to(at::kDouble));
    EXPECT_LT(relative_error(statistics.hessian, exact), in < 1000 ? kRelativeTolerance : kTwoParts)
        << in;
    EXPECT_TRUE(statistics.hessian.equal(statistics.hessian.t())) << in;
  }
}

TEST(InputHessian, WidensBFloat16InputsFirst) {
  const at::Tensor x = at::randn({4096, 64}).to(at::kBFloat16);
  InputHessian hessian(64, at::kCPU);
  hessian.add(x);
  const at::Tensor exact = x.to(at::kDouble).t().mm(x.to(at::kDouble));
  EXPECT_LT(relative_error(hessian.finish().hessian, exact), kRelativeTolerance);
}

constexpr double kRoundedTolerance = 1e-3;  // each weighted input rounded to 8 bits, 4096 summed

TEST(InputHessian, WeighsTokensInEveryType) {
  for (const auto& [type, tolerance] :
       {std::pair{at::kFloat, kRelativeTolerance}, {at::kBFloat16, kRoundedTolerance}}) {
    const at::Tensor x = at::randn({4096, 64}).to(type), weights = at::rand({4096}) * 1e-6;
    InputHessian hessian(64, at::kCPU);
    hessian.add(x, weights);
    const at::Tensor wide = x.to(at::kDouble);
    const at::Tensor exact = wide.t().mm(wide * weights.to(at::kDouble).unsqueeze(1));
    EXPECT_LT(relative_error(hessian.finish().hessian, exact), tolerance);
  }
}

}  // namespace
}  // namespace halftone
