// MLX's affine quantization of one matrix (formats.md 5.1), between the names and the numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "format/config_fields.h"

namespace halftone {

// Tensors of a linear: codes, and for each group what its codes are multiplied by and what is
// added.
inline constexpr std::string_view kMlxCodes = ".weight", kMlxScales = ".scales",
                                  kMlxBiases = ".biases";

struct MlxGrid {
  int bits = 4;
  int64_t group_size = 64;
};

bool mlx_has_bits(int64_t bits);
bool mlx_has_group_size(int64_t size);

// Errors: values outside what MLX has; another mode than affine.
MlxGrid parse_mlx_grid(const ConfigFields& fields);

// What MLX makes of codes: scale * code, rounded to the type of the scales, plus the bias, rounded
// again.   codes: (rows, in) uint8; scales, biases: (rows, groups) of one float type -> (rows, in)
// of that type
at::Tensor mlx_weights(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& biases);

}  // namespace halftone
