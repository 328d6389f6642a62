// Large float32 products in little more than half the library's time where the processor is made
// for bfloat16 (kernels/mixed_product.h): each factor is the sum of two bfloat16 matrices, and of
// their four products the three that count are summed in float32.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// A factor of products, `multiple` times a matrix, split once for all of them; not at all where
// that would gain nothing.
class TwoPartMatrix {
 public:
  // x: (n, m), kept, not copied, rows contiguous
  explicit TwoPartMatrix(const at::Tensor& x, double multiple = 1);

  TwoPartMatrix narrow(int64_t dim, int64_t start, int64_t length) const;
  TwoPartMatrix t() const;
  int64_t size(int64_t dim) const { return whole_.size(dim); }
  at::TensorOptions options() const { return whole_.options(); }

 private:
  TwoPartMatrix() = default;
  friend void add_product(at::Tensor, const TwoPartMatrix&, const TwoPartMatrix&);

  at::Tensor whole_;  // once
  double multiple_ = 1;
  at::Tensor high_, low_;  // bfloat16, their sum is multiple * whole but for 2^-17 of it;
                           // undefined: not split, or nothing is left for `low`
};

// c += a b: each number is off by at most 2^-15 of the sum of |a_ij b_jk| that it is made of where
// both are split, else as the library's.   a: (m, k); b: (k, n); c: (m, n), rows contiguous
void add_product(at::Tensor c, const TwoPartMatrix& a, const TwoPartMatrix& b);

// a b.   -> (m, n)
at::Tensor product(const TwoPartMatrix& a, const TwoPartMatrix& b);

}  // namespace halftone
