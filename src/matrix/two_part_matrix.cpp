#include "matrix/two_part_matrix.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "kernels/mixed_product.h"
#include "kernels/products.h"
#include "kernels/row_kernels.h"

namespace halftone {
namespace {

// From where on splitting pays: terms of a sum, and multiplications.
constexpr int64_t kLeastSummed = 192, kLeastMultiplied = int64_t{1} << 26;
constexpr int64_t kRows = 16;  // a task of splitting

// A matrix of one row may have any stride.
MixedOperand operand(const at::Tensor& x, bool transposed) {
  const int64_t across = transposed ? 0 : 1, stride = x.stride(1 - across);
  return {static_cast<const BFloat16Bits*>(x.const_data_ptr()), std::max(stride, x.size(across)),
          transposed};
}

}  // namespace

TwoPartMatrix::TwoPartMatrix(const at::Tensor& x, double multiple)
    : whole_(x), multiple_(multiple) {
  if (!x.is_cpu() || x.numel() == 0 || products() == Products::kFloat32) return;
  if (x.scalar_type() == at::kBFloat16) high_ = x;
  if (products() != Products::kTwoParts) return;
  const int64_t rows = x.size(0), count = x.size(1), stride = x.stride(0);
  const bool pays = rows * count * std::max(rows, count) >= kLeastMultiplied;
  if (x.scalar_type() != at::kFloat || !pays) return;
  high_ = at::empty(x.sizes(), x.options().dtype(at::kBFloat16));
  low_ = at::empty_like(high_);
  const auto* from = x.const_data_ptr<float>();
  auto* high = static_cast<BFloat16Bits*>(high_.mutable_data_ptr());
  auto* low = static_cast<BFloat16Bits*>(low_.mutable_data_ptr());
  const RowKernels<float> kernels = row_kernels<float>();
  std::atomic<bool> more = false;
  at::parallel_for(0, rows, kRows, [&](int64_t begin, int64_t end) {
    bool seen = false;
    for (int64_t row = begin; row < end; ++row)
      seen |= kernels.split(count, from + row * stride, static_cast<float>(multiple),
                            high + row * count, low + row * count);
    if (seen) more = true;
  });
  if (!more) low_.reset();
}

TwoPartMatrix TwoPartMatrix::narrow(int64_t dim, int64_t start, int64_t length) const {
  const auto part = [&](const at::Tensor& of) {
    return of.defined() ? of.narrow(dim, start, length) : of;
  };
  TwoPartMatrix result = *this;
  result.whole_ = part(whole_), result.high_ = part(high_), result.low_ = part(low_);
  return result;
}

TwoPartMatrix TwoPartMatrix::t() const {
  const auto turned = [](const at::Tensor& of) { return of.defined() ? of.t() : of; };
  TwoPartMatrix result = *this;
  result.whole_ = turned(whole_), result.high_ = turned(high_), result.low_ = turned(low_);
  result.transposed_ = !transposed_;
  return result;
}

void add_product(at::Tensor c, const TwoPartMatrix& a, const TwoPartMatrix& b) {
  const int64_t m = a.size(0), n = b.size(1), k = a.size(1);
  const bool split = a.high_.defined() && b.high_.defined();
  const bool many = k >= kLeastSummed && m * n * k >= kLeastMultiplied;
  if (!split || ((a.low_.defined() || b.low_.defined()) && !many)) {
    c.addmm_(a.whole_.to(c.scalar_type()), b.whole_.to(c.scalar_type()), 1,
             a.multiple_ * b.multiple_);
    return;
  }
  const auto add = [&](const at::Tensor& x, const at::Tensor& y) {
    if (x.defined() && y.defined())
      add_mixed_product(m, n, k, operand(x, a.transposed_), operand(y, b.transposed_),
                        c.mutable_data_ptr<float>(), std::max(c.stride(0), n));
  };
  add(a.low_, b.high_);  // what is small first
  add(a.high_, b.low_);
  add(a.high_, b.high_);
}

at::Tensor product(const TwoPartMatrix& a, const TwoPartMatrix& b) {
  at::Tensor c = at::zeros({a.size(0), b.size(1)}, a.options());
  add_product(c, a, b);
  return c;
}

}  // namespace halftone
