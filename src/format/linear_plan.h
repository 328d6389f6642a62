// What is known of a linear before it is written: its grid, as files describe it, whether that
// comes from a recipe or from a linear that is quantized already.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "quantize/quantized_linear.h"
#include "recipe/linear_recipe.h"

namespace halftone {

struct StoredGrid {
  GridKind kind = GridKind::kUniform;
  int bits = 4;  // of a stored code
  int64_t group_size =
      0;  // columns that share a scale; 0: the whole row; larger ones are cut to it
  bool symmetric = false;
  int least_zero = 0;          // of an asymmetric grid
  int scale_bits = 8;          // significant bits of its scales; 24: float32
  bool group_index = false;    // groups follow the order of quantization: a group for every column
  bool signed_scales = false;  // symmetric: a scale may be negative
  bool outliers = false;       // stored beside the grid, each with its own value
  // bilevel: rows of a run, bits of scale and zero codes (0: integer zeros, or symmetric)
  int64_t run_size = 0;
  int scale_code_bits = 0, zero_code_bits = 0;
  Levels levels = Levels::kEven;           // of a grid in super-blocks
  Codebook codebook = Codebook::kIq2Xxs;   // of a vector grid
  TrellisCode code = TrellisCode::k3Inst;  // of a trellis grid
  int state_bits = 0;
  int64_t input_block = 0, output_block = 0;  // of its rotation; 0: those of the linear's sides
  bool sign_magnitude = false;                // split: outlier codes are a sign and a magnitude

  // Columns of a group in a row of `in`.
  int64_t columns_per_group(int64_t in) const;
};

StoredGrid stored_grid(const LinearRecipe& recipe);
// The significant bits that its scales really have (24 above 11) and its least zero point.
StoredGrid stored_grid(const QuantizedLinear& linear);

// One linear as it is going to be stored.
struct LinearPlan {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  int64_t out = 0, in = 0;
  StoredGrid grid = {};
  bool reads_rotated = false;  // its inputs are rotated as the model runs: x R, with weights W R
};

// Of a linear that is already quantized.
LinearPlan plan_of(const std::string& name, const QuantizedLinear& linear);

// Groups of `in` columns. group_size >= 1.
constexpr int64_t group_count(int64_t in, int64_t group_size) {
  return (in + group_size - 1) / group_size;
}

// Why a format of plain uniform grids cannot hold a linear; empty if it can.
std::string plain_grid_refusal(const LinearPlan& linear);

}  // namespace halftone
