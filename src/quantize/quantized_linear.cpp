#include "quantize/quantized_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <bit>

namespace halftone {

namespace {

// What the codes mean where they are a split grid's outliers.  group: (in) -> (out, in) float32
at::Tensor outlier_values(const QuantizedLinear& linear, const at::Tensor& group) {
  const SplitOutliers& split = *linear.split;
  const at::Tensor scales = split.scales.index_select(1, group);
  if (!split.sign_magnitude) {
    const at::Tensor zeros = split.zeros.to(at::kFloat).index_select(1, group);
    return linear.codes.to(at::kFloat).sub_(zeros).mul_(scales);
  }
  const int sign = 1 << (linear.bits - 1);
  const at::Tensor magnitudes = linear.codes.bitwise_and(sign - 1).to(at::kFloat);
  const at::Tensor values = magnitudes.mul_(scales).add_(split.floor);
  return at::where(linear.codes.bitwise_and(sign).to(at::kBool), -values, values);
}

// Of positions among `count` columns.
int position_bits(int64_t count) {
  return std::bit_width(static_cast<uint64_t>(count - 1));
}

// Second scales and zeros, and a position each (METHODS 10, "split").
double split_bits(const QuantizedLinear& linear) {
  const SplitOutliers& split = *linear.split;
  const bool zeros = !linear.symmetric && !split.sign_magnitude;
  const auto positions = static_cast<double>(split.members.sum().item<int64_t>());
  return (16.0 + (zeros ? linear.bits : 0)) * static_cast<double>(split.scales.numel()) +
         positions * position_bits(linear.group_size);
}

}  // namespace

at::Tensor dequantize(const QuantizedLinear& linear) {
  at::NoGradGuard no_grad;
  const int64_t in = linear.in();
  at::Tensor group = linear.group_of_column.defined()
                         ? linear.group_of_column.to(at::kLong)
                         : at::arange(in, at::kLong).div(linear.group_size, "floor");
  // code - zero is exact in float32, so one rounding in all
  at::Tensor steps =
      linear.codes.to(at::kFloat).sub_(linear.zeros.to(at::kFloat).index_select(1, group));
  steps.mul_(linear.scales.index_select(1, group));
  if (!linear.split) return steps;
  return at::where(linear.split->members, outlier_values(linear, group), steps);
}

double bits_per_weight(const QuantizedLinear& linear) {
  const auto out = static_cast<double>(linear.out()), in = static_cast<double>(linear.in());
  const double per_group = 16 + (linear.symmetric ? 0 : linear.bits);
  const double index = linear.group_of_column.defined() ? 32 / out : 0;
  const double split = linear.split ? split_bits(linear) / (out * in) : 0;
  return linear.bits + per_group * static_cast<double>(linear.groups()) / in + index + split;
}

}  // namespace halftone
