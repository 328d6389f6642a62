// Large products by way of the library's bfloat16 ones (kernels/mixed_product.h), where
// kernels/products.h has chosen those. A bfloat16 matrix goes as it is: its products are exact in
// float32. A float32 matrix goes as the sum of two bfloat16 ones, and of four products of parts the
// three that count are summed in float32, in little more than half the time of the float32 product.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// A factor of products, `multiple` times a matrix, split once for all of them; not at all where
// that would gain nothing.
class TwoPartMatrix {
 public:
  // x: (n, m) bfloat16, float32 or float64, kept, not copied, rows contiguous; multiple: 1 for
  // bfloat16
  explicit TwoPartMatrix(const at::Tensor& x, double multiple = 1);

  TwoPartMatrix narrow(int64_t dim, int64_t start, int64_t length) const;
  TwoPartMatrix t() const;
  int64_t size(int64_t dim) const { return whole_.size(dim); }
  at::TensorOptions options() const { return whole_.options(); }
  bool is_bfloat16() const { return high_.defined(); }  // in one part or two

 private:
  TwoPartMatrix() = default;
  friend void add_product(at::Tensor, const TwoPartMatrix&, const TwoPartMatrix&);

  at::Tensor whole_;  // once
  double multiple_ = 1;
  bool transposed_ = false;  // what is kept lies in columns
  at::Tensor high_, low_;    // bfloat16, their sum is multiple * whole but for 2^-17 of it;
                             // undefined: not split, or nothing is left for `low`
};

// c += a b: the library's product in c's type, but where both are split or bfloat16 each number is
// off by at most 2^-15 of the sum of |a_ij b_jk| that it is made of (and by float32's rounding).
// a: (m, k); b: (k, n); c: (m, n) float32 or float64, rows contiguous, all on one device
void add_product(at::Tensor c, const TwoPartMatrix& a, const TwoPartMatrix& b);

// a b, both of one type.   -> (m, n)
at::Tensor product(const TwoPartMatrix& a, const TwoPartMatrix& b);

}  // namespace halftone
