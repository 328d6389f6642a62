// The cross moment D = (Xf - X)^T X of one stage (METHODS 1): how the layer's input has drifted
// from that of the full-precision model, seen from the input itself. Summed in float32; exactly 0
// where the two streams agree.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

class CrossMoment {
 public:
  CrossMoment(int64_t in, at::Device device);

  // x, original: (tokens, in), the inputs in the quantized and in the full-precision model.
  void add(const at::Tensor& x, const at::Tensor& original);
  // (in, in) float32 on the CPU; row = drifting feature.
  at::Tensor finish();

 private:
  at::Tensor sum_;
};

}  // namespace halftone
