#include "matrix/quadratic_form.h"

#include "quantize/layers.h"

namespace halftone::testing {
namespace {

constexpr double kExact = 1e-12;    // relative, float64
constexpr double kReported = 1e-4;  // relative, what a report shows

double trace(const at::Tensor& weight, const at::Tensor& hessian) {
  const at::Tensor w = weight.to(at::kDouble);
  return (w.matmul(hessian.to(at::kDouble)) * w).sum().item<double>();
}

TEST(QuadraticForm, EqualsTheTrace) {
  const Layer layer = random_layer(7, 1100);
  EXPECT_NEAR(quadratic_form(layer.weight, layer.hessian) / trace(layer.weight, layer.hessian), 1,
              kExact);
}

// The second layer has one input far beyond the others, which rounding a Hessian suffers from most.
TEST(QuadraticForm, ReportedInBFloat16IsRightToFourDigits) {
  for (const Layer& layer : {random_layer(70, 1100), smollm2_layer()}) {
    const at::Tensor weight = layer.weight32(), hessian = layer.hessian.to(at::kFloat);
    EXPECT_NEAR(reported_quadratic_form(weight, hessian) / trace(weight, hessian), 1, kReported);
    EXPECT_EQ(reported_quadratic_form(layer.weight, layer.hessian),
              quadratic_form(layer.weight, layer.hessian));
  }
}

}  // namespace
}  // namespace halftone::testing
