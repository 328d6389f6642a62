#include "format/linear_check.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "format/grid_parts_check.h"

namespace halftone {
namespace {

// Integer zeros are codes of `bits` bits; fractions come from a second level.
void check_zeros(const QuantizedLinear& linear) {
  if (linear.bilevel && linear.bilevel->zeros) {
    check_tensor("zeros", linear.zeros, at::kFloat, linear.scales.sizes().vec());
    require(!linear.symmetric, "zeros: symmetric, yet they are fractions");
    return;
  }
  const int64_t levels = int64_t{1} << linear.bits;
  check_tensor("zeros", linear.zeros, at::kByte, linear.scales.sizes().vec());
  check_below("zeros", linear.zeros, levels);
  if (linear.symmetric)
    require(linear.zeros.eq(levels / 2).all().item<bool>(), "zeros: symmetric, yet not all are {}",
            levels / 2);
}

void check_kind(const QuantizedLinear& linear, const LinearRecipe& recipe) {
  require(linear.bilevel.has_value() == (recipe.grid.kind == GridKind::kBilevel) &&
              linear.split.has_value() == (recipe.grid.kind == GridKind::kSplit),
          "expected a grid of another kind by the plan");
  require(linear.binary.has_value() == (recipe.grid.kind == GridKind::kBinary),
          "expected a grid of another kind by the plan");
  const bool signs = recipe.grid.outlier_codes == OutlierCodes::kSignMagnitude;
  require(!linear.split || linear.split->sign_magnitude == signs,
          "outlier codes: not those of the plan");
  require(linear.outliers.has_value() == needs_outlier_sidecar(recipe),
          "outliers: found {}, but the plan has {}", linear.outliers ? "some" : "none",
          needs_outlier_sidecar(recipe) ? "some" : "none");
}

}  // namespace

int64_t columns_per_group(const GridOptions& grid, int64_t in) {
  return grid.group_size == 0 ? in : std::min(grid.group_size, in);
}

int code_bits(const GridOptions& grid) {
  return grid.kind == GridKind::kBinary ? 2 : grid.bits;
}

bool needs_group_index(const OrderOptions& order) {
  return order.kind == OrderKind::kActivation && !order.static_groups;
}

bool needs_outlier_sidecar(const LinearRecipe& recipe) {
  return recipe.outliers.kind != OutlierKind::kNone && recipe.grid.kind != GridKind::kSplit;
}

std::string plain_grid_refusal(const LinearRecipe& recipe) {
  if (recipe.grid.kind == GridKind::kBilevel) return "a bilevel grid; it holds uniform ones only";
  if (recipe.grid.kind == GridKind::kBinary) return "a binary grid; it holds uniform ones only";
  if (recipe.grid.kind == GridKind::kSplit) return "a split grid; it holds uniform ones only";
  if (needs_outlier_sidecar(recipe)) return "outliers outside the grid; it holds none";
  if (recipe.transform.online)
    return "inputs rotated as the model runs (transform.online), which its engines do not do";
  return "";
}

std::string stored_name(at::ScalarType dtype) {
  if (dtype == at::kFloat) return "F32";
  if (dtype == at::kBFloat16) return "BF16";
  if (dtype == at::kHalf) return "F16";
  fail("expected float32, bfloat16 or float16, found {}", c10::toString(dtype));
}

int significant_bits(at::ScalarType dtype) {
  return dtype == at::kFloat ? 24 : dtype == at::kHalf ? 11 : 8;
}

int significant_bits(const GridOptions& grid) {
  if (grid.scale_bits < 0) return 8;
  return grid.scale_bits == 0 ? 24 : grid.scale_bits;
}

bool is_planned(const OutputPlan& plan, std::string_view linear) {
  return std::any_of(plan.linears.begin(), plan.linears.end(),
                     [&](const LinearPlan& planned) { return planned.name == linear; });
}

bool is_input_embedding(const std::string& layer) {
  for (const char* name : {"embed_tokens", "embed_positions", "embed_in", "wte", "wpe"})
    if (layer == name || layer.ends_with(std::string(".") + name)) return true;
  return false;
}

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
  if (linear.binary) {
    check_binary(linear, groups);
  } else {
    check_tensor("scales", linear.scales, at::kFloat, {linear.out(), groups});
    require(linear.scales.isfinite().all().item<bool>(), "scales: one is not finite");
    check_zeros(linear);
  }
  if (linear.bilevel) check_bilevel(linear);
  if (linear.split) check_split(linear);
  if (linear.dead_columns.defined()) check_dead_columns(linear.dead_columns, linear.in());
  if (linear.outliers) check_outliers(*linear.outliers, linear.out(), linear.in());
  if (!linear.group_of_column.defined()) return;
  check_tensor("group of column", linear.group_of_column, at::kInt, {linear.in()});
  check_below("group of column", linear.group_of_column, groups);
}

void check_linear(const QuantizedLinear& linear, const LinearPlan& plan) {
  check_linear(linear);
  check_kind(linear, plan.recipe);
  const GridOptions& grid = plan.recipe.grid;
  require(linear.out() == plan.out && linear.in() == plan.in,
          "expected ({}, {}) by the plan, found ({}, {})", plan.out, plan.in, linear.out(),
          linear.in());
  require(linear.bits == code_bits(grid) && linear.symmetric == grid.symmetric,
          "expected {} bits, {}, by the plan, found {} bits, {}", code_bits(grid),
          grid.symmetric ? "symmetric" : "asymmetric", linear.bits,
          linear.symmetric ? "symmetric" : "asymmetric");
  require(linear.group_size == columns_per_group(grid, plan.in),
          "expected groups of {} columns by the plan, found {}", columns_per_group(grid, plan.in),
          linear.group_size);
  require(!linear.group_of_column.defined() || needs_group_index(plan.recipe.order),
          "groups in the order of quantization, but the plan has static groups");
}

bool scales_fit(const at::Tensor& scales, at::ScalarType dtype) {
  return at::equal(scales.to(dtype).to(at::kFloat), scales);
}

at::Tensor exact_scales(const at::Tensor& scales, at::ScalarType dtype) {
  at::Tensor stored = scales.to(dtype).contiguous();
  const at::Tensor changed = stored.to(at::kFloat).ne(scales);
  if (changed.any().item<bool>())
    fail("scales: {} is not exact in {}", scales.masked_select(changed)[0].item<float>(),
         stored_name(dtype));
  return stored;
}

at::Tensor column_groups(const QuantizedLinear& linear) {
  if (linear.group_of_column.defined()) return linear.group_of_column.contiguous();
  return at::arange(linear.in(), at::kInt).floor_divide(linear.group_size);
}

std::string common_refusal(const OutputPlan& plan) {
  if (plan.dtype != at::kFloat && plan.dtype != at::kBFloat16 && plan.dtype != at::kHalf)
    return fmt::format("the model is in {}; float32, bfloat16 and float16 can be written",
                       c10::toString(plan.dtype));
  for (const LinearPlan& linear : plan.linears) {
    const std::string weight = linear.name + ".weight";
    if (plan.source == nullptr || !plan.source->contains(weight)) continue;
    const auto& shape = plan.source->stored(weight).shape;
    if (shape != std::vector<int64_t>{linear.out, linear.in})
      return fmt::format("{}: the source holds ({}), the linear is ({}, {})", linear.name,
                         fmt::join(shape, ", "), linear.out, linear.in);
  }
  return "";
}

}  // namespace halftone
