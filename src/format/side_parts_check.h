// What the parts of a linear beside its grid must be: dead columns, outliers with values of their
// own. (A grid checks its own parts: quantize/grid/grid_entries.h.)
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/quantized_linear.h"

namespace halftone {

// columns: (dead). Errors: not ascending int32 in 0 .. in - 1, or none.
void check_dead_columns(const at::Tensor& columns, int64_t in);

// Errors: row starts that do not ascend from 0 to the number of outliers; columns of a row that do
// not ascend within 0 .. in - 1; values that are no float16.
void check_outliers(const Outliers& outliers, int64_t out, int64_t in);

}  // namespace halftone
