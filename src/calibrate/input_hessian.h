// The input Hessian X^T X of one stage (METHODS 2.1), summed in float32 from inputs of any dtype.
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/linear_statistics.h"

namespace halftone {

class InputHessian {
 public:
  InputHessian(int64_t in, at::Device device);

  // x: (tokens, in). Only the upper triangle of column panels is formed: about half the work of a
  // full product.
  void add(const at::Tensor& x);
  // The sum over everything added, symmetric to the bit, on the CPU, where it is factored.
  LinearStatistics finish();

 private:
  at::Tensor sum_;  // (in, in) float32, upper panels only until finish
  int64_t tokens_ = 0;
};

}  // namespace halftone
