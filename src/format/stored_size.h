// How large a linear is going to be, before anything is computed (PackedModel::linear_bytes, of
// what is written).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "format/linear_plan.h"

namespace halftone {

// Bytes of all its tensors but the bias, where the plan alone says so: of uniform grids without
// outliers and without dead columns, in every format, and of blocks of GGUF files.
// dtype: the model's, in which compressed-tensors stores scales and dense all weights
std::optional<int64_t> stored_linear_bytes(std::string_view format, at::ScalarType dtype,
                                           const LinearPlan& linear);

}  // namespace halftone
