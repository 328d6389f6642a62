#include "quantize/quantized_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <bit>

#include "quantize/grid/grid_entries.h"
#include "quantize/linear_rotation.h"

namespace halftone {
namespace {

// Puts the outliers of rows [begin, begin + weights' rows) in place.   weights: (rows, in) float32
void put_outliers(const Outliers& outliers, int64_t begin, at::Tensor& weights) {
  const auto* starts = outliers.row_starts.const_data_ptr<int64_t>();
  const auto* columns = outliers.columns.const_data_ptr<int32_t>();
  const auto* values = outliers.values.const_data_ptr<float>();
  const int64_t rows = weights.size(0), in = weights.size(1);
  auto* to = weights.mutable_data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = starts[begin + row]; i < starts[begin + row + 1]; ++i)
      to[row * in + columns[i]] = values[i];
}

}  // namespace

GridKind QuantizedLinear::kind() const {
  if (binary) return GridKind::kBinary;
  if (split) return GridKind::kSplit;
  if (blocks) return GridKind::kSuperBlock;
  if (vectors) return GridKind::kVector;
  if (trellis) return GridKind::kTrellis;
  return bilevel ? GridKind::kBilevel : GridKind::kUniform;
}

int64_t SplitOutliers::count() const {
  return members.sum().item<int64_t>();
}

int position_bits(int64_t group_size) {
  return std::bit_width(static_cast<uint64_t>(group_size - 1));
}

at::Tensor reconstruct(const SecondLevel& level, int64_t run_size) {
  const int64_t out = level.codes.size(0);
  const at::Tensor run = at::arange(out, at::kLong).div(run_size, "floor");
  return level.codes.to(at::kFloat)
      .sub_(level.zeros.index_select(0, run))
      .mul_(level.steps.index_select(0, run));
}

at::Tensor dequantize(const QuantizedLinear& linear) {
  return dequantize_rows(linear, 0, linear.out());
}

at::Tensor dequantize_rows(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  at::NoGradGuard no_grad;
  at::Tensor weights;
  if (linear.is_rotated()) {
    const at::Tensor values = grid_entry(linear.kind()).values(linear, 0, linear.out());
    weights = rotate_back(values, *linear.trellis->rotation).narrow(0, begin, count).contiguous();
  } else {
    weights = grid_entry(linear.kind()).values(linear, begin, count);
  }
  if (linear.dead_columns.defined()) weights.index_fill_(1, linear.dead_columns.to(at::kLong), 0);
  if (linear.outliers) put_outliers(*linear.outliers, begin, weights);
  return weights;
}

at::Tensor column_groups(const QuantizedLinear& linear) {
  if (linear.group_of_column.defined()) return linear.group_of_column.contiguous();
  return at::arange(linear.in(), at::kInt).floor_divide(linear.group_size);
}

double outlier_share(const QuantizedLinear& linear) {
  const int64_t count = linear.outliers ? linear.outliers->count()
                        : linear.split  ? linear.split->count()
                                        : 0;
  return static_cast<double>(count) / static_cast<double>(linear.codes.numel());
}

double bits_per_weight(const QuantizedLinear& linear) {
  return grid_entry(linear.kind()).bits(linear) +
         (linear.outliers ? 32 * outlier_share(linear) : 0);
}

}  // namespace halftone
