#include "calibrate/fisher_gate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halftone {
namespace {

TEST(FisherGate, PrefersTheMatrixThatPointsWhereHeldOutGradientsDo) {
  const at::Tensor a = at::diag(at::tensor({4.0f, 1.0f, 0.0f}));
  const at::Tensor b = at::diag(at::tensor({0.0f, 1.0f, 4.0f}));
  EXPECT_GT(fisher_gate_score(a * 2, a, b), 3);  // what is not held out is a, too
  EXPECT_LT(fisher_gate_score(b + a, a, a), 0.3);
  EXPECT_NEAR(fisher_gate_score(a * 3, a, a), 1, 1e-6);
  EXPECT_EQ(fisher_gate_score(a, a, b), 0);  // nothing is left to judge
  EXPECT_EQ(fisher_gate_score(a, a * 0, b), 0);
}

}  // namespace
}  // namespace halftone
