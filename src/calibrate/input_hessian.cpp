#include "calibrate/input_hessian.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "calibrate/product.h"

namespace halftone {
namespace {

// Panels: wide enough for the library's GEMM to run at full rate, narrow enough to skip most of the
// lower half.
int64_t panel_width(int64_t in, bool narrow_type) {
  return narrow_type ? 512 : std::max<int64_t>(192, (in / 6 + 63) / 64 * 64);
}

}  // namespace

InputHessian::InputHessian(int64_t in, at::Device device)
    : sum_(at::zeros({in, in}, at::device(device).dtype(at::kFloat))) {}

void InputHessian::add(const at::Tensor& x) {
  const int64_t in = sum_.size(0), step = panel_width(in, x.scalar_type() == at::kBFloat16);
  for (int64_t begin = 0; begin < in; begin += step) {
    const int64_t width = std::min(step, in - begin);
    add_product(sum_.narrow(0, begin, width).narrow(1, begin, in - begin),
                x.narrow(1, begin, width), x.narrow(1, begin, in - begin));
  }
  tokens_ += x.size(0);
}

LinearStatistics InputHessian::finish() {
  const at::Tensor upper = at::triu(sum_.to(at::kCPU));
  sum_ = at::Tensor();
  return {upper + at::triu(upper, 1).t(), tokens_, {}};
}

}  // namespace halftone
