// Which float types files hold, and what they can hold exactly.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace halftone {

// "F32", "BF16", "F16"; error for any other type.
std::string stored_name(at::ScalarType dtype);

// Significant bits of a float type: 24, 8, 11.
int significant_bits(at::ScalarType dtype);

// scales: (out, groups) float32 -> the same shape in `dtype`. Error if rounding would change one.
at::Tensor exact_scales(const at::Tensor& scales, at::ScalarType dtype);
bool scales_fit(const at::Tensor& scales, at::ScalarType dtype);

}  // namespace halftone
