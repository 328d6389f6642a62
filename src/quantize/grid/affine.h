// What the grids with w = scale * (code - zero) share: uniform, bilevel and, for its bulk, split.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quantize/quantized_linear.h"

namespace halftone {

// x: (rows, groups) -> (rows, in) float32, each column with its group's number
at::Tensor over_columns(const at::Tensor& x, const QuantizedLinear& linear);

// scale * (code - zero) for rows [begin, begin + count).  -> (count, in) float32
at::Tensor affine_values(const QuantizedLinear& linear, int64_t begin, int64_t count);

// Codes, what a group of one row takes beside them, and 32 bits a column for a group index that
// counts.
double affine_bits(const QuantizedLinear& linear, double bits_of_group, bool index_counts = true);

// Bits of a stored zero: none where the grid is symmetric.
int bits_of_zero(const QuantizedLinear& linear);

void join_affine(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear);

// Errors: scales that are not finite float32, one for each row and group.
void check_scales(const QuantizedLinear& linear);
// Errors: zeros that are no codes of `bits` bits, or not those of a symmetric grid.
void check_integer_zeros(const QuantizedLinear& linear);

}  // namespace halftone
