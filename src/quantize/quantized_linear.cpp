#include "quantize/quantized_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <bit>

#include "quantize/binary_planes.h"

namespace halftone {
namespace {

// x: (rows, groups) -> (rows, in), each column with its group's number
at::Tensor over_columns(const at::Tensor& x, const QuantizedLinear& linear) {
  return x.to(at::kFloat).index_select(1, column_groups(linear));
}

// scale * (code - zero) for rows [begin, begin + count).  -> (count, in) float32
at::Tensor affine_weights(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const auto rows = [&](const at::Tensor& x) { return x.narrow(0, begin, count); };
  // with integer zeros the difference is exact in float32: one rounding in all
  at::Tensor steps =
      rows(linear.codes).to(at::kFloat).sub_(over_columns(rows(linear.zeros), linear));
  return steps.mul_(over_columns(rows(linear.scales), linear));
}

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

// What the codes of rows [begin, begin + count) mean where they are a split grid's outliers.
// -> (count, in) float32
at::Tensor split_values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const SplitOutliers& split = *linear.split;
  const auto over = [&](const at::Tensor& x) {
    return over_columns(x.narrow(0, begin, count), linear);
  };
  const at::Tensor codes = linear.codes.narrow(0, begin, count);
  if (!split.sign_magnitude)
    return codes.to(at::kFloat).sub_(over(split.zeros)).mul_(over(split.scales));
  const int sign = 1 << (linear.bits - 1);
  const at::Tensor magnitudes = codes.bitwise_and(sign - 1).to(at::kFloat);
  const at::Tensor values = magnitudes.mul_(over(split.scales)).add_(split.floor);
  return at::where(codes.bitwise_and(sign).to(at::kBool), -values, values);
}

// Bits that one group of one row takes beside its codes and its outliers.
double bits_per_group(const QuantizedLinear& linear) {
  const double zero = linear.symmetric ? 0 : linear.bits;
  if (linear.split) return 16 + zero + 16 + (linear.split->sign_magnitude ? 0 : zero);
  if (!linear.bilevel) return 16 + zero;
  const BilevelStatistics& bilevel = *linear.bilevel;
  const double runs_a_row =
      static_cast<double>(bilevel.runs(linear.out())) / static_cast<double>(linear.out());
  return bilevel.scales.bits + 32 * runs_a_row +
         (bilevel.zeros ? bilevel.zeros->bits + 32 * runs_a_row : zero);
}

}  // namespace

GridKind QuantizedLinear::kind() const {
  if (binary) return GridKind::kBinary;
  if (split) return GridKind::kSplit;
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
  at::Tensor weights =
      linear.binary ? binary_weights(linear, begin, count) : affine_weights(linear, begin, count);
  if (linear.dead_columns.defined()) weights.index_fill_(1, linear.dead_columns.to(at::kLong), 0);
  if (linear.split)
    weights = at::where(linear.split->members.narrow(0, begin, count),
                        split_values(linear, begin, count), weights);
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
  if (linear.binary) return binary_bits_per_weight(linear) + 32 * outlier_share(linear);
  const auto out = static_cast<double>(linear.out()), in = static_cast<double>(linear.in());
  const bool counted = linear.group_of_column.defined() && !linear.bilevel;
  return linear.bits + bits_per_group(linear) * static_cast<double>(linear.groups()) / in +
         (counted ? 32 / out : 0) +
         (linear.split ? position_bits(linear.group_size) : 32) * outlier_share(linear);
}

}  // namespace halftone
