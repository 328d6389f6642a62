// What calibration hands to quantization: a plain struct of tensors, all of one linear's (or of
// several linears that share an input).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace halftone {

struct LinearStatistics {
  at::Tensor
      hessian;  // (in, in) float32 or float64, X^T X over all tokens; undefined: no objective
  int64_t tokens = 0;  // rows of X that were summed
  at::Tensor cross_moment =
      {};  // (in, in) float32 or float64, D = (Xf - X)^T X, Xf the input in the
           // full-precision model; row = drifting feature; undefined: one stream
};

}  // namespace halftone
