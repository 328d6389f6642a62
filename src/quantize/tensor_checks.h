// What the tensors of a quantized linear must be, whoever made it.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace halftone {

// Error: undefined, another type or shape.
void check_tensor(const char* what, const at::Tensor& tensor, at::ScalarType dtype,
                  const std::vector<int64_t>& shape);

// numbers: any shape, integers. Error: one outside 0 .. limit - 1.
void check_below(const char* what, const at::Tensor& numbers, int64_t limit);

// numbers: any shape, float32. Error: one that is not finite or no float16.
void check_float16(const char* what, const at::Tensor& numbers);

}  // namespace halftone
