// What a linear must be before it is packed, and which scales a stored type can hold.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "format/format.h"

namespace halftone {

// Groups of `in` columns. group_size >= 1.
constexpr int64_t group_count(int64_t in, int64_t group_size) {
  return (in + group_size - 1) / group_size;
}

// The group size a recipe means for a row of `in` columns: 0 is the whole row, larger ones are cut
// to it.
int64_t columns_per_group(const GridOptions& grid, int64_t in);

// Bits of a stored code: a binary grid's two (BinaryPlanes), else the grid's.
int code_bits(const GridOptions& grid);

// True if groups follow the order of quantization, so that a file needs a group for every column.
bool needs_group_index(const OrderOptions& order);

// True if the recipe's outliers are stored beside the grid, each with its own value.
bool needs_outlier_sidecar(const LinearRecipe& recipe);

// Why a format of plain uniform grids cannot hold a linear; empty if it can.
std::string plain_grid_refusal(const LinearRecipe& recipe);

// "F32", "BF16", "F16"; error for any other type.
std::string stored_name(at::ScalarType dtype);

// Significant bits of a float type: 24, 8, 11.
int significant_bits(at::ScalarType dtype);

// Significant bits a recipe's scales have: `scale_bits`, at most 8 by METHODS 4.6, 24 unrounded.
int significant_bits(const GridOptions& grid);

// How engines call the head.
inline constexpr const char* kHead = "lm_head";

bool is_planned(const OutputPlan& plan, std::string_view linear);

// layer: a module's name. The matrices that no engine takes for linears.
bool is_input_embedding(const std::string& layer);

// Errors: shapes, types or numbers that are no grid (a code above 2^bits - 1, a group out of range,
// a scale that is not finite, an outlier that is no float16, ...).
void check_linear(const QuantizedLinear& linear);

// Also: not what was planned.
void check_linear(const QuantizedLinear& linear, const LinearPlan& plan);

// scales: (out, groups) float32 -> the same shape in `dtype`. Error if rounding would change one.
at::Tensor exact_scales(const at::Tensor& scales, at::ScalarType dtype);
bool scales_fit(const at::Tensor& scales, at::ScalarType dtype);

// The group of every column, whether it is written down in the linear or not.  -> (in) int32
at::Tensor column_groups(const QuantizedLinear& linear);

// Why no format can take the plan: the type of the model, or a source tensor of another shape.
// Empty if fine.
std::string common_refusal(const OutputPlan& plan);

}  // namespace halftone
