// The output-adaptive Hessian of one linear, sum over sequences of G^T G with G = dL/dW of one
// sequence (Edalati et al. 2025, OAC, arXiv 2405.15025; methods.md 2.2): the Fisher matrix of the
// linear, its blocks of single rows summed.
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/linear_statistics.h"
#include "calibrate/symmetric_sum.h"

namespace halftone {

class OutputHessian {
 public:
  OutputHessian(int64_t out, int64_t in, at::Device device);

  // G = Delta^T X of each sequence in float32, its square summed in float32, row energies in
  // float64.   x: (batch, length, in); delta: (batch, length, out), the gradient at the output;
  // original: (batch, length, in), the input in the full-precision model: then the cross moment is
  // summed too, D = sum over sequences of (Delta^T (Xf - X))^T G (methods.md 3.5)
  void add(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& original = {});
  // Divided by scale^2, where gradients were `scale` times the loss's. Sets hessian, tokens,
  // row_energies and, if inputs of the full-precision model came, cross_moment.
  LinearStatistics finish(double scale);

 private:
  SymmetricSum sum_;
  at::Tensor moment_;        // (in, in) float32; undefined: no drift was asked for
  at::Tensor row_energies_;  // (out) float64
  int64_t tokens_ = 0;
};

// The diagonal of that matrix alone (methods.md 2.4): no product of two matrices beyond G.
class OutputDiagonal {
 public:
  OutputDiagonal(int64_t out, int64_t in, at::Device device);

  void add(const at::Tensor& x, const at::Tensor& delta);  // as above
  // hessian: (in, in), zero off the diagonal.
  LinearStatistics finish(double scale);

 private:
  at::Tensor sum_, row_energies_;  // (in), (out) float64
  int64_t tokens_ = 0;
};

}  // namespace halftone
