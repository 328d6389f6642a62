#include "quantize/quantized_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace halftone {

at::Tensor dequantize(const QuantizedLinear& linear) {
  at::NoGradGuard no_grad;
  const int64_t in = linear.in();
  at::Tensor group = linear.group_of_column.defined()
                         ? linear.group_of_column.to(at::kLong)
                         : at::arange(in, at::kLong).div(linear.group_size, "floor");
  // code - zero is exact in float32, so one rounding in all
  at::Tensor steps =
      linear.codes.to(at::kFloat).sub_(linear.zeros.to(at::kFloat).index_select(1, group));
  return steps.mul_(linear.scales.index_select(1, group));
}

double bits_per_weight(const QuantizedLinear& linear) {
  const auto out = static_cast<double>(linear.out()), in = static_cast<double>(linear.in());
  const double per_group = 16 + (linear.symmetric ? 0 : linear.bits);
  const double index = linear.group_of_column.defined() ? 32 / out : 0;
  return linear.bits + per_group * static_cast<double>(linear.groups()) / in + index;
}

}  // namespace halftone
