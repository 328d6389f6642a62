#include "quantize/scale_floor.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "kernels/lane_kernels.h"
#include "kernels/super_block_kernels.h"
#include "quantize/grid/uniform.h"

namespace halftone {
namespace {

constexpr int kKeptBits = 8;  // of the numbers that a grid forms of float16 ones

struct Floor {
  at::Tensor sizes;      // (out, groups) what a group's values are multiples of, or made of
  double enough;         // from here up they are held to their bits
  bool float16 = false;  // by which type
};

// Of the type's subnormals: its last place is 2^-24, so a number has as many bits as it is above
// that.
double with_bits(int bits) {
  return std::ldexp(kLeastFloat16Scale, bits - 1);
}

bool is_nvfp4(const QuantizedLinear& linear) {
  return linear.blocks && linear.blocks->levels == Levels::kNvfp4;
}

Floor floor_of(const QuantizedLinear& linear, const GridOptions& grid) {
  const double above_least = std::nextafter(static_cast<float>(kLeastWideScale), 1.0F);
  if (linear.binary) {
    const at::Tensor reach = (linear.binary->means.abs() + linear.binary->scales).amax(-1);
    if (grid.scale_bits == 0) return {reach, above_least};
    return {reach, with_bits(kKeptBits), true};
  }
  if (linear.bilevel) {  // a scale is up to 2^bits - 1 steps, which are float16
    const int top = (1 << linear.bilevel->scales.bits) - 1;
    return {linear.scales, top * with_bits(kKeptBits), true};
  }
  if (linear.blocks || linear.vectors) {  // one step for the groups of a super-block
    const at::Tensor& steps = linear.blocks ? linear.blocks->steps : linear.vectors->steps;
    const int64_t groups = linear.groups() / steps.size(1);
    double enough = with_bits(kKeptBits);
    if (linear.blocks && linear.blocks->levels == Levels::kMxfp4) enough = 2 * kLeastFloat16Scale;
    if (is_nvfp4(linear)) enough = kUe4m3Unit * 0x1p-6;
    return {steps.abs().repeat_interleave(groups, 1), enough, true};
  }
  if (linear.trellis) return {linear.scales, with_bits(kKeptBits), true};
  const at::Tensor scales =
      linear.split ? at::minimum(linear.scales, linear.split->scales) : linear.scales.abs();
  if (!grid.float16_scales) return {scales, above_least};
  const int bits = uniform_rule(grid).scale_bits;
  return {scales, with_bits(bits == 0 || bits > 11 ? 11 : bits), true};
}

// The greatest magnitude of each row's groups.  -> (out, groups) float32
at::Tensor greatest_of_groups(const at::Tensor& weight, const QuantizedLinear& linear) {
  const at::Tensor group = linear.group_of_column.defined()
                               ? linear.group_of_column.to(at::kLong)
                               : at::arange(linear.in(), at::kLong).div(linear.group_size, "floor");
  const at::Tensor magnitude = weight.to(at::kFloat).abs();
  return at::zeros({linear.out(), linear.groups()}, at::kFloat)
      .scatter_reduce(1, group.expand_as(magnitude), magnitude, "amax");
}

}  // namespace

std::string scale_floor(const at::Tensor& weight, const QuantizedLinear& linear,
                        const GridOptions& grid) {
  if (is_nvfp4(linear)) {
    const double greatest = 12 * 448 * kUe4m3Unit;
    const auto beyond = (greatest_of_groups(weight, linear) > greatest).sum().item<int64_t>();
    if (beyond > 0)
      return fmt::format("{} of {} groups have weights beyond {}, the greatest of NVFP4", beyond,
                         linear.out() * linear.groups(), greatest);
  }
  const Floor floor = floor_of(linear, grid);
  const at::Tensor below = floor.sizes < floor.enough;
  if (!below.any().item<bool>()) return "";
  const auto count =
      below.logical_and(greatest_of_groups(weight, linear) > 0).sum().item<int64_t>();
  if (count == 0) return "";
  return fmt::format("{} of {} groups have weights too small for {} scales", count, below.numel(),
                     floor.float16 ? "float16" : "bfloat16 or float32");
}

}  // namespace halftone
