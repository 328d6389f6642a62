// What the inputs of one stage are on the sequences that no solve may see, with both streams
// (methods.md 3.6: how far a quantized linear's output is from the full-precision model's).
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/cross_moment.h"
#include "calibrate/linear_statistics.h"
#include "calibrate/symmetric_sum.h"

namespace halftone {

class HeldOutSums {
 public:
  HeldOutSums(int64_t in, at::Device device)
      : hessian_(in, device), moment_(in, device), drift_(in, device) {}

  // x, original: (tokens, in), the inputs in the quantized and in the full-precision model.
  void add(const at::Tensor& x, const at::Tensor& original);
  // The sums over everything added, on the CPU.
  HeldOutInputs finish() { return {hessian_.finish(), moment_.finish(), drift_.finish()}; }

 private:
  SymmetricSum hessian_;
  CrossMoment moment_;
  SymmetricSum drift_;
};

}  // namespace halftone
