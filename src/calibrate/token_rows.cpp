#include "calibrate/token_rows.h"

#include <ATen/ATen.h>

#include <utility>

namespace halftone {

TokenRows::TokenRows(at::Tensor rows, int64_t length) : rows_(std::move(rows)), length_(length) {}

at::Tensor TokenRows::sequences() const {
  return rows_.floor_divide(length_);
}

at::Tensor TokenRows::of(const at::Tensor& values) const {
  return is_all() ? values : values.flatten().index_select(0, rows_);
}

at::Tensor TokenRows::of_sequences(const at::Tensor& values, const at::Tensor& x) const {
  if (is_all()) return values.view({x.size(0), 1, 1});
  return values.index_select(0, sequences()).unsqueeze(1);
}

at::Tensor TokenRows::spread(const at::Tensor& x, int64_t count) const {
  if (is_all()) return x;
  return at::zeros({count * length_, x.size(1)}, x.options())
      .index_copy_(0, rows_, x)
      .view({count, length_, x.size(1)});
}

}  // namespace halftone
