// Sums of R^T R in float32, as input Hessians (R = X) and output Hessians (R = G) need them.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

class SymmetricSum {
 public:
  SymmetricSum(int64_t width, at::Device device);
  // a copy would add to the same tensor
  SymmetricSum(const SymmetricSum&) = delete;
  SymmetricSum& operator=(const SymmetricSum&) = delete;
  SymmetricSum(SymmetricSum&&) = default;
  SymmetricSum& operator=(SymmetricSum&&) = default;

  // rows: (rows, width) bfloat16 or float32, multiplied as matrix/two_part_matrix.h says. Only the
  // upper triangle of column panels is formed: about half the work of a full product.
  void add(const at::Tensor& rows);
  // (width, width) float32, symmetric to the bit, on the CPU, where it is factored.
  at::Tensor finish();

 private:
  at::Tensor sum_;  // (width, width) float32, upper panels only until finish
};

}  // namespace halftone
