// Square statistics with their rows and columns in another order.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

namespace halftone {

// result[i][j] = scale * matrix[order[i]][order[j]].   matrix: (in, in) float32 or float64 on the
// CPU, contiguous; order: (in); type: of the result, float32 or float64
at::Tensor permuted(const at::Tensor& matrix, std::span<const int64_t> order, double scale,
                    at::ScalarType type);

}  // namespace halftone
