#include "quantize/grid/affine.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {

at::Tensor over_columns(const at::Tensor& x, const QuantizedLinear& linear) {
  return x.to(at::kFloat).index_select(1, column_groups(linear));
}

at::Tensor affine_values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const auto rows = [&](const at::Tensor& x) { return x.narrow(0, begin, count); };
  // with integer zeros the difference is exact in float32: one rounding in all
  at::Tensor steps =
      rows(linear.codes).to(at::kFloat).sub_(over_columns(rows(linear.zeros), linear));
  return steps.mul_(over_columns(rows(linear.scales), linear));
}

double affine_bits(const QuantizedLinear& linear, double bits_of_group, bool index_counts) {
  const auto out = static_cast<double>(linear.out()), in = static_cast<double>(linear.in());
  const bool counted = linear.group_of_column.defined() && index_counts;
  return linear.bits + bits_of_group * static_cast<double>(linear.groups()) / in +
         (counted ? 32 / out : 0);
}

int bits_of_zero(const QuantizedLinear& linear) {
  return linear.symmetric ? 0 : linear.bits;
}

void join_affine(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  linear.scales = below_each_other(runs, [](const QuantizedLinear& run) { return run.scales; });
  linear.zeros = below_each_other(runs, [](const QuantizedLinear& run) { return run.zeros; });
}

void check_scales(const QuantizedLinear& linear) {
  const int64_t groups = (linear.in() + linear.group_size - 1) / linear.group_size;
  check_tensor("scales", linear.scales, at::kFloat, {linear.out(), groups});
  require(linear.scales.isfinite().all().item<bool>(), "scales: one is not finite");
}

void check_integer_zeros(const QuantizedLinear& linear) {
  const int64_t levels = int64_t{1} << linear.bits;
  check_tensor("zeros", linear.zeros, at::kByte, linear.scales.sizes().vec());
  check_below("zeros", linear.zeros, levels);
  if (linear.symmetric)
    require(linear.zeros.eq(levels / 2).all().item<bool>(), "zeros: symmetric, yet not all are {}",
            levels / 2);
}

}  // namespace halftone
