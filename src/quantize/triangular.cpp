#include "quantize/triangular.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int64_t kPanel = 512;

}  // namespace

at::Tensor times_upper(const at::Tensor& x, const at::Tensor& upper, bool x_is_upper) {
  const int64_t in = upper.size(0);
  at::Tensor result = x_is_upper ? at::zeros_like(x) : at::empty_like(x);
  for (int64_t j = 0; j < in; j += kPanel) {
    const int64_t count = std::min(kPanel, in - j);
    const int64_t rows = x_is_upper ? std::min(x.size(0), j + count) : x.size(0);
    at::Tensor panel = result.narrow(0, 0, rows).narrow(1, j, count);
    at::mm_out(panel, x.narrow(0, 0, rows).narrow(1, 0, j + count),
               upper.narrow(0, 0, j + count).narrow(1, j, count));
  }
  return result;
}

at::Tensor times_transposed_upper(const at::Tensor& x, const at::Tensor& upper) {
  const int64_t in = upper.size(0);
  at::Tensor result = at::empty_like(x);
  for (int64_t j = 0; j < in; j += kPanel) {
    const int64_t count = std::min(kPanel, in - j);
    at::Tensor panel = result.narrow(1, j, count);
    at::mm_out(panel, x.narrow(1, j, in - j), upper.narrow(0, j, count).narrow(1, j, in - j).t());
  }
  return result;
}

}  // namespace halftone
