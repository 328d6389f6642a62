#include "calibrate/input_hessian.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

// Panels: wide enough for the library's GEMM to run at full rate, narrow enough to skip most of the
// lower half.
int64_t panel_width(int64_t in) {
  return std::max<int64_t>(192, (in / 6 + 63) / 64 * 64);
}

}  // namespace

InputHessian::InputHessian(int64_t in, at::Device device)
    : sum_(at::zeros({in, in}, at::device(device).dtype(at::kFloat))) {}

void InputHessian::add(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  const int64_t in = sum_.size(0);
  for (int64_t begin = 0; begin < in; begin += panel_width(in)) {
    const int64_t width = std::min(panel_width(in), in - begin);
    at::Tensor panel = sum_.narrow(0, begin, width).narrow(1, begin, in - begin);
    panel.addmm_(wide.narrow(1, begin, width).t(), wide.narrow(1, begin, in - begin));
  }
  tokens_ += x.size(0);
}

LinearStatistics InputHessian::finish() {
  const at::Tensor upper = at::triu(sum_.to(at::kCPU));
  sum_ = at::Tensor();
  return {upper + at::triu(upper, 1).t(), tokens_, {}};
}

}  // namespace halftone
