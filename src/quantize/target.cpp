#include "quantize/target.h"

#include <ATen/ATen.h>

#include "matrix/permuted.h"
#include "matrix/triangular.h"

namespace halftone {

at::Tensor ordered_cross_moment(const at::Tensor& cross_moment, const HessianDiagonal& diagonal,
                                std::span<const int64_t> columns, at::ScalarType type) {
  return permuted(cross_moment.contiguous(), columns, diagonal.normalizer(), type);
}

at::Tensor drift_matrix(const at::Tensor& moment, const at::Tensor& upper) {
  const TwoPartMatrix wide(upper.to(moment.scalar_type()));
  const at::Tensor half_way = times_transposed_upper(TwoPartMatrix(moment), wide);
  return times_upper(TwoPartMatrix(at::triu(half_way, 1)), wide, /*x_is_upper=*/true);
}

WeightShift::WeightShift(at::Tensor moment, at::Tensor upper, std::span<const int64_t> columns)
    : moment_(std::move(moment)),
      upper_(std::move(upper)),
      columns_(columns.begin(), columns.end()),
      positions_(columns.size()) {
  for (size_t i = 0; i < columns_.size(); ++i) positions_[columns_[i]] = static_cast<int64_t>(i);
}

at::Tensor WeightShift::shifted(const at::Tensor& x, at::ScalarType type) const {
  const at::Tensor moment = moment_.to(type);
  const TwoPartMatrix upper(upper_.to(type));
  const at::Tensor start = x.defined() ? product(TwoPartMatrix(x), TwoPartMatrix(moment)) : moment;
  return times_upper(TwoPartMatrix(times_transposed_upper(TwoPartMatrix(start), upper)), upper);
}

at::Tensor WeightShift::of(const at::Tensor& weight) const {
  const at::ScalarType type = weight.scalar_type();
  if (shared_ && shared_->options().dtype() != weight.dtype()) shared_.reset();
  if (!shared_ && weight.size(0) >= weight.size(1))
    shared_.emplace(permuted(shifted({}, type), positions_, 1, type));
  if (shared_) return product(TwoPartMatrix(weight), *shared_);
  return shifted(weight.index_select(1, at::tensor(columns_, at::kLong)), type)
      .index_select(1, at::tensor(positions_, at::kLong));
}

}  // namespace halftone
