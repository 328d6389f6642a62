// What the optional parts of a linear must be, and the checks all parts share.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quantize/quantized_linear.h"

namespace halftone {

// Error: undefined, another type or shape.
void check_tensor(const char* what, const at::Tensor& tensor, at::ScalarType dtype,
                  const std::vector<int64_t>& shape);

// numbers: any shape, integers. Error: one outside 0 .. limit - 1.
void check_below(const char* what, const at::Tensor& numbers, int64_t limit);

// numbers: any shape, float32. Error: one that is not finite or no float16.
void check_float16(const char* what, const at::Tensor& numbers);

// Errors: a second level of another shape or with numbers out of range; scales or zeros that are
// not what it stands for.   linear.bilevel must be there, scales and zeros checked
void check_bilevel(const QuantizedLinear& linear);

// Errors: not two bits a code; columns, means or scales of another shape, or not finite; a scale
// below 0; a group index.   linear.binary must be there
void check_binary(const QuantizedLinear& linear, int64_t groups);

// Errors: members, scales, zeros or a floor that are not those of a split grid; a group of more
// than group_size columns, whose positions a file could not count.   linear.split must be there
void check_split(const QuantizedLinear& linear);

// columns: (dead). Errors: not ascending int32 in 0 .. in - 1, or none.
void check_dead_columns(const at::Tensor& columns, int64_t in);

// Errors: row starts that do not ascend from 0 to the number of outliers; columns of a row that do
// not ascend within 0 .. in - 1; values that are no float16.
void check_outliers(const Outliers& outliers, int64_t out, int64_t in);

}  // namespace halftone
