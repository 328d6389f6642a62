#include "format/linear_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int kFloatBits = 24, kHalfBits = 11;

// Least number of significant bits that holds every scale, 24 for more than float16 has.
int scale_bits_of(const at::Tensor& scales) {
  const auto [mantissas, exponents] = at::frexp(scales);
  for (int bits = 1; bits <= kHalfBits; ++bits) {
    const at::Tensor shifted = mantissas * static_cast<double>(1 << bits);
    if (at::equal(shifted, shifted.round())) return bits;
  }
  return kFloatBits;
}

}  // namespace

int64_t StoredGrid::columns_per_group(int64_t in) const {
  return group_size == 0 ? in : std::min(group_size, in);
}

StoredGrid stored_grid(const LinearRecipe& recipe) {
  const GridOptions& options = recipe.grid;
  const int scale_bits = options.significant_scale_bits();
  StoredGrid grid{.kind = options.kind,
                  .bits = options.code_bits(),
                  .group_size = options.group_size,
                  .symmetric = options.symmetric,
                  .least_zero = options.zero_min,
                  .scale_bits = scale_bits == 0 ? kFloatBits : scale_bits,
                  .group_index = recipe.order.groups_follow_order(),
                  .signed_scales = options.signed_scale,
                  .outliers = recipe.keeps_outliers_beside_grid()};
  if (options.kind == GridKind::kBilevel) {
    grid.run_size = options.qq_groupsize;
    grid.scale_code_bits = options.qq_scale_bits;
    grid.zero_code_bits = options.has_integer_zeros() ? 0 : options.qq_zero_bits;
  }
  if (options.kind == GridKind::kSuperBlock) grid.levels = options.levels;
  if (options.kind == GridKind::kVector) grid.codebook = options.codebook;
  if (options.kind == GridKind::kTrellis) {
    grid.code = options.code;
    grid.state_bits = options.state_bits;
  }
  grid.sign_magnitude = options.outlier_codes == OutlierCodes::kSignMagnitude;
  return grid;
}

StoredGrid stored_grid(const QuantizedLinear& linear) {
  StoredGrid grid{.kind = linear.kind(),
                  .bits = linear.bits,
                  .group_size = linear.groups() == 1 ? 0 : linear.group_size,
                  .symmetric = linear.symmetric,
                  .group_index = linear.group_of_column.defined(),
                  .outliers = linear.outliers.has_value()};
  if (linear.bilevel) {
    grid.run_size = linear.bilevel->run_size;
    grid.scale_code_bits = linear.bilevel->scales.bits;
    grid.zero_code_bits = linear.bilevel->zeros ? linear.bilevel->zeros->bits : 0;
  } else if (linear.blocks || linear.vectors) {
    grid.scale_bits = kHalfBits;
    if (linear.blocks) grid.levels = linear.blocks->levels;
    if (linear.vectors) grid.codebook = linear.vectors->codebook;
  } else if (linear.trellis) {
    grid.scale_bits = kHalfBits;
    grid.code = linear.trellis->code;
    grid.state_bits = linear.trellis->state_bits;
    grid.input_block = linear.trellis->rotation->input_block;
    grid.output_block = linear.trellis->rotation->output_block;
  } else if (!linear.binary) {
    grid.signed_scales = linear.scales.min().item<float>() < 0;
    grid.least_zero = linear.zeros.min().item<int>();
    grid.scale_bits = scale_bits_of(linear.scales);
  }
  if (linear.split) grid.sign_magnitude = linear.split->sign_magnitude;
  return grid;
}

LinearPlan plan_of(const std::string& name, const QuantizedLinear& linear) {
  return {.name = name, .out = linear.out(), .in = linear.in(), .grid = stored_grid(linear)};
}

std::string plain_grid_refusal(const LinearPlan& linear) {
  const StoredGrid& grid = linear.grid;
  if (grid.kind == GridKind::kBilevel) return "a bilevel grid; it holds none";
  if (grid.kind == GridKind::kBinary) return "a binary grid; it holds none";
  if (grid.kind == GridKind::kSplit) return "a split grid; it holds none";
  if (grid.kind == GridKind::kVector) return "a vector grid; it holds none";
  if (grid.kind == GridKind::kTrellis) return "a trellis grid; it holds none";
  if (grid.kind == GridKind::kSuperBlock) return "a grid in super-blocks; it holds none";
  if (grid.signed_scales) return "scales of either sign; its engines were made for positive ones";
  if (grid.outliers) return "outliers outside the grid; it holds none";
  if (linear.reads_rotated)
    return "inputs rotated as the model runs (transform.online), which its engines do not do";
  return "";
}

}  // namespace halftone
