#include "quantize/target.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int64_t kPanel =
    512;  // of a product with a triangular matrix: only its non-zero half is read

at::Tensor order_of(std::span<const int64_t> columns) {
  at::Tensor order = at::empty({static_cast<int64_t>(columns.size())}, at::kLong);
  std::copy(columns.begin(), columns.end(), order.mutable_data_ptr<int64_t>());
  return order;
}

// x U^T.   x: (rows, in); upper: (in, in) upper triangular
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

// x U.   `x_is_upper`: x itself is upper triangular, its rows below a panel's columns are zero
at::Tensor times_upper(const at::Tensor& x, const at::Tensor& upper, bool x_is_upper) {
  const int64_t in = upper.size(0);
  at::Tensor result = at::zeros_like(x);
  for (int64_t j = 0; j < in; j += kPanel) {
    const int64_t count = std::min(kPanel, in - j);
    const int64_t rows = x_is_upper ? std::min(x.size(0), j + count) : x.size(0);
    at::Tensor panel = result.narrow(0, 0, rows).narrow(1, j, count);
    at::mm_out(panel, x.narrow(0, 0, rows).narrow(1, 0, j + count),
               upper.narrow(0, 0, j + count).narrow(1, j, count));
  }
  return result;
}

}  // namespace

at::Tensor ordered_cross_moment(const at::Tensor& cross_moment, const HessianDiagonal& diagonal,
                                std::span<const int64_t> columns, at::ScalarType type) {
  const at::Tensor order = order_of(columns);
  return cross_moment.to(type).index_select(0, order).index_select(1, order).mul_(
      diagonal.normalizer());
}

at::Tensor drift_matrix(const at::Tensor& moment, const at::Tensor& upper) {
  const at::Tensor wide = upper.to(moment.scalar_type());
  return times_upper(at::triu(times_transposed_upper(moment, wide), 1), wide, true);
}

at::Tensor weight_shift(const at::Tensor& weight, const at::Tensor& moment, const at::Tensor& upper,
                        std::span<const int64_t> columns) {
  const at::Tensor order = order_of(columns);
  const at::Tensor typed = moment.to(weight.scalar_type()), wide = upper.to(weight.scalar_type());
  const at::Tensor drift = weight.index_select(1, order).mm(typed);
  const at::Tensor shift = times_upper(times_transposed_upper(drift, wide), wide, false);
  return shift.index_select(1, order.argsort());
}

}  // namespace halftone
