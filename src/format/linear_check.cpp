#include "format/linear_check.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "format/side_parts_check.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

void check_kind(const QuantizedLinear& linear, const StoredGrid& grid) {
  require(linear.kind() == grid.kind, "expected a grid of another kind by the plan");
  require(!linear.vectors || linear.vectors->codebook == grid.codebook,
          "codebook: not that of the plan");
  require(!linear.trellis || linear.is_rotated(), "rotation: a trellis grid needs one");
  require(!linear.trellis ||
              (linear.trellis->code == grid.code && linear.trellis->state_bits == grid.state_bits),
          "trellis: code or state bits are not those of the plan");
  require(!linear.split || linear.split->sign_magnitude == grid.sign_magnitude,
          "outlier codes: not those of the plan");
  require(linear.outliers.has_value() == grid.outliers, "outliers: found {}, but the plan has {}",
          linear.outliers ? "some" : "none", grid.outliers ? "some" : "none");
}

}  // namespace

void check_linear(const QuantizedLinear& linear) {
  require(linear.bits >= 1 && linear.bits <= 8, "bits: expected 1 .. 8, found {}", linear.bits);
  require(
      linear.codes.defined() && linear.codes.dim() == 2 && linear.out() >= 1 && linear.in() >= 1,
      "codes: expected a matrix");
  require(linear.group_size >= 1 && linear.group_size <= linear.in(),
          "group size: expected 1 .. {}, found {}", linear.in(), linear.group_size);
  const int64_t groups = group_count(linear.in(), linear.group_size);
  check_tensor("codes", linear.codes, at::kByte, {linear.out(), linear.in()});
  check_below("codes", linear.codes, int64_t{1} << linear.bits);
  grid_entry(linear.kind()).check(linear);
  if (linear.dead_columns.defined()) check_dead_columns(linear.dead_columns, linear.in());
  if (linear.outliers) check_outliers(*linear.outliers, linear.out(), linear.in());
  if (!linear.group_of_column.defined()) return;
  check_tensor("group of column", linear.group_of_column, at::kInt, {linear.in()});
  check_below("group of column", linear.group_of_column, groups);
}

void check_planned(const QuantizedLinear& linear, const LinearPlan& plan) {
  const StoredGrid& grid = plan.grid;
  check_kind(linear, grid);
  require(linear.out() == plan.out && linear.in() == plan.in,
          "expected ({}, {}) by the plan, found ({}, {})", plan.out, plan.in, linear.out(),
          linear.in());
  require(linear.bits == grid.bits && linear.symmetric == grid.symmetric,
          "expected {} bits, {}, by the plan, found {} bits, {}", grid.bits,
          grid.symmetric ? "symmetric" : "asymmetric", linear.bits,
          linear.symmetric ? "symmetric" : "asymmetric");
  require(linear.group_size == grid.columns_per_group(plan.in),
          "expected groups of {} columns by the plan, found {}", grid.columns_per_group(plan.in),
          linear.group_size);
  require(!linear.group_of_column.defined() || grid.group_index,
          "groups in the order of quantization, but the plan has static groups");
}

std::string common_refusal(const OutputPlan& plan) {
  if (plan.dtype != at::kFloat && plan.dtype != at::kBFloat16 && plan.dtype != at::kHalf)
    return fmt::format("the model is in {}; float32, bfloat16 and float16 can be written",
                       c10::toString(plan.dtype));
  for (const LinearPlan& linear : plan.linears) {
    const std::string weight = linear.name + ".weight";
    if (plan.source == nullptr || !plan.source->contains(weight)) continue;
    const auto shape = plan.source->stored_info(weight).shape;
    if (shape != std::vector<int64_t>{linear.out, linear.in})
      return fmt::format("{}: the source holds ({}), the linear is ({}, {})", linear.name,
                         fmt::join(shape, ", "), linear.out, linear.in);
  }
  return "";
}

}  // namespace halftone
