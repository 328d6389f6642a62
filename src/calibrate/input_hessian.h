// The input Hessian X^T X of one stage (methods.md 2.1), summed in float32 from inputs of any
// dtype; with token weights s, X^T diag(s) X (Kim et al. 2025, GuidedQuant, arXiv 2505.07004;
// methods.md 2.3).
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/linear_statistics.h"
#include "calibrate/sums.h"
#include "calibrate/symmetric_sum.h"

namespace halftone {

class InputHessian {
 public:
  InputHessian(int64_t in, at::Device device) : sum_(in, device) {}

  // x: (tokens, in); weights: (tokens) float32, none negative; undefined: all 1. A weighted
  // bfloat16 input is rounded to bfloat16 once more.
  void add(const at::Tensor& x, const at::Tensor& weights = {});
  // The sum over everything added.
  LinearStatistics finish() { return {sum_.finish(), total(tokens_)}; }

 private:
  SymmetricSum sum_;
  int64_t tokens_ = 0;
};

}  // namespace halftone
