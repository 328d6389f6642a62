#include "calibrate/symmetric_sum.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "calibrate/product.h"

namespace halftone {
namespace {

// Panels: wide enough for the library's GEMM to run at full rate, narrow enough to skip most of the
// lower half.
int64_t panel_width(int64_t width, bool narrow_type) {
  return narrow_type ? 512 : std::max<int64_t>(192, (width / 6 + 63) / 64 * 64);
}

}  // namespace

SymmetricSum::SymmetricSum(int64_t width, at::Device device)
    : sum_(at::zeros({width, width}, at::device(device).dtype(at::kFloat))) {}

void SymmetricSum::add(const at::Tensor& rows) {
  const int64_t all = sum_.size(0), step = panel_width(all, rows.scalar_type() == at::kBFloat16);
  for (int64_t begin = 0; begin < all; begin += step) {
    const int64_t width = std::min(step, all - begin);
    add_product(sum_.narrow(0, begin, width).narrow(1, begin, all - begin),
                rows.narrow(1, begin, width), rows.narrow(1, begin, all - begin));
  }
}

at::Tensor SymmetricSum::finish() {
  const at::Tensor upper = at::triu(sum_.to(at::kCPU));
  sum_ = at::Tensor();
  return upper + at::triu(upper, 1).t();
}

}  // namespace halftone
