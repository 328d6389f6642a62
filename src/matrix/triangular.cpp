#include "matrix/triangular.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int64_t kPanel = 512;

void add_product(at::Tensor c, const at::Tensor& a, const at::Tensor& b) {
  c.addmm_(a, b);
}

template <class Matrix>
at::Tensor by_upper(const Matrix& x, const Matrix& upper, bool x_is_upper) {
  const int64_t in = upper.size(0);
  at::Tensor result = at::zeros({x.size(0), in}, x.options());
  for (int64_t j = 0; j < in; j += kPanel) {
    const int64_t count = std::min(kPanel, in - j);
    const int64_t rows = x_is_upper ? std::min(x.size(0), j + count) : x.size(0);
    add_product(result.narrow(0, 0, rows).narrow(1, j, count),
                x.narrow(0, 0, rows).narrow(1, 0, j + count),
                upper.narrow(0, 0, j + count).narrow(1, j, count));
  }
  return result;
}

template <class Matrix>
at::Tensor by_transposed_upper(const Matrix& x, const Matrix& upper) {
  const int64_t in = upper.size(0);
  at::Tensor result = at::zeros({x.size(0), in}, x.options());
  for (int64_t j = 0; j < in; j += kPanel) {
    const int64_t count = std::min(kPanel, in - j);
    add_product(result.narrow(1, j, count), x.narrow(1, j, in - j),
                upper.narrow(0, j, count).narrow(1, j, in - j).t());
  }
  return result;
}

}  // namespace

at::Tensor times_upper(const at::Tensor& x, const at::Tensor& upper, bool x_is_upper) {
  return by_upper(x, upper, x_is_upper);
}

at::Tensor times_upper(const TwoPartMatrix& x, const TwoPartMatrix& upper, bool x_is_upper) {
  return by_upper(x, upper, x_is_upper);
}

at::Tensor times_transposed_upper(const at::Tensor& x, const at::Tensor& upper) {
  return by_transposed_upper(x, upper);
}

at::Tensor times_transposed_upper(const TwoPartMatrix& x, const TwoPartMatrix& upper) {
  return by_transposed_upper(x, upper);
}

}  // namespace halftone
