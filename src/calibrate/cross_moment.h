// The cross moment D = (Xf - X)^T X of one stage (methods.md 1): how the layer's input has drifted
// from that of the full-precision model, against the input itself. Summed in float32; exactly 0
// where the two streams agree. With token weights s, (Xf - X)^T diag(s) X, which goes with the
// Hessian X^T diag(s) X (methods.md 3.5).
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

class CrossMoment {
 public:
  CrossMoment(int64_t in, at::Device device);

  // x, original: (tokens, in), the inputs in the quantized and in the full-precision model;
  // weights: (tokens) float32, undefined: all 1.
  void add(const at::Tensor& x, const at::Tensor& original, const at::Tensor& weights = {});
  // (in, in) float32 on the CPU; row = drifting feature.
  at::Tensor finish();

 private:
  at::Tensor sum_;
};

}  // namespace halftone
