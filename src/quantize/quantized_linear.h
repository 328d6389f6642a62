// One quantized linear: where `quantize` and `format` meet.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "recipe/linear_recipe.h"

namespace halftone {

// Numbers of a grid that are themselves on a grid (methods.md 4.2): one step and zero for a run of
// consecutive rows of one group of columns,  number = step * (code - zero).
struct SecondLevel {
  int bits = 0;      // of a code, 1 .. 8
  at::Tensor codes;  // (out, groups) uint8, 0 .. 2^bits - 1
  at::Tensor steps;  // (runs, groups) float32, each exactly a float16
  at::Tensor zeros;  // (runs, groups) float32, each exactly a float16
};

// Where the scales of a bilevel grid come from, and its zeros where they are fractions
// (Dettmers et al. 2023, SpQR, arXiv 2306.03078).
struct BilevelStatistics {
  int64_t run_size = 0;  // rows of a run; the last run may be shorter
  SecondLevel scales;
  std::optional<SecondLevel> zeros;  // none: QuantizedLinear::zeros are codes of their own

  int64_t runs(int64_t out) const { return (out + run_size - 1) / run_size; }
};

// The numbers a second level stands for: a float32 difference, then a float32 product.
// -> (out, groups) float32
at::Tensor reconstruct(const SecondLevel& level, int64_t run_size);

// Weights kept outside the grid, as compressed sparse rows. A value REPLACES what its code says.
struct Outliers {
  at::Tensor row_starts;  // (out + 1) int64, from 0 to the number of outliers
  at::Tensor columns;     // (outliers) int32, in the file's order, ascending in each row
  at::Tensor values;      // (outliers) float32, each exactly a float16

  int64_t count() const { return values.size(0); }
};

// What the codes of a binary grid stand for (methods.md 4.4; Huang et al. 2024, BiLLM, arXiv
// 2402.04291). Codes are 0 .. 3: of a salient column two signs, first * 2 + second; of another one
// tail * 2 + sign; a sign is 1 for +. A row and group has four means and scales: bulk, tail, first
// and second sign of salient columns;  w = mean + sign * scale, of a salient column the sum of two.
struct BinaryPlanes {
  at::Tensor salient;        // (in) uint8, 1: two signs
  at::Tensor means, scales;  // (out, groups, 4) float32, as a file stores them
};

// The outliers of a split grid (methods.md 4.5): they have scales of their own and codes of as many
// bits. A code means scale * (code - zero), or, as sign (the highest bit) and magnitude,
// +-(floor + scale * magnitude).
struct SplitOutliers {
  at::Tensor members;  // (out, in) bool, in the file's column order
  at::Tensor scales;   // (out, groups) float32, > 0
  at::Tensor zeros;    // (out, groups) uint8; with sign and magnitude all 0
  bool sign_magnitude = false;
  float floor = 0;  // >= 0; with sign and magnitude only

  int64_t count() const;
};

// Of an outlier's position among the columns of its group: ceil(log2(group_size)).
int position_bits(int64_t group_size);

// Scales and offsets that are whole multiples of one number for every row and super-block of 256
// columns (methods.md 4.3).
//   w = scale * (code - 2^(bits-1))   symmetric, else   w = scale * code - offset
// in float32, in that order, with scale = step * code, offset = offset step * offset code.
struct SuperBlocks {
  at::Tensor scale_codes;     // (out, groups) int8
  at::Tensor offset_codes;    // (out, groups) int8; undefined: symmetric
  at::Tensor steps, offsets;  // (out, in / 256) float32, each exactly a float16; offsets: undefined
  // Other than even: w = scale * level of the code, symmetric; of kIq4Nl steps are (out, in / 32).
  Levels levels = Levels::kEven;
};

// What the codes of a vector grid stand for (methods.md 4.7): a code of four bits is a magnitude of
// the codebook and, from 8 up, a minus sign. Every eight codes make one or two of its points.
//   w = +-scale * magnitude,  scale = step * unit * (2 scale_code + 1)
struct VectorBlocks {
  Codebook codebook = Codebook::kIq2Xxs;
  at::Tensor scale_codes;  // (out, groups) uint8, 0 .. 15
  at::Tensor steps;        // (out, in / 256) float32, each exactly a float16, not negative
};

// A linear's own rotation (methods.md 8.5): its rounded weights are those of Q_out^T W Q_in with
// Q = diag(+-1) and Hadamard matrices in blocks along the diagonal.
struct LinearRotation {
  at::Tensor input_signs, output_signs;       // (in), (out) uint8, 1: -1
  int64_t input_block = 0, output_block = 0;  // orders of the Hadamard matrices; divide in, out
};

// What the codes of a trellis grid stand for (methods.md 4.8): those of a tile of 16 rows and 16
// columns, column after column, are a circle of bits whose last state_bits up to a weight's own are
// a state;  w = scale * value of the state, one scale a row, then rotated back.
struct TrellisTiles {
  TrellisCode code = TrellisCode::k3Inst;
  int state_bits = 12;                     // 8 .. 16
  std::optional<LinearRotation> rotation;  // none while it is being solved
};

// w = scale * (code - zero), one scale and zero per row and group of columns (methods.md 4), unless
// one of the optional parts says otherwise. All numbers have already been rounded to what a file
// stores, so this is what was measured and what is read back.
struct QuantizedLinear {
  int bits = 0;                // 1 .. 8
  int64_t group_size = 0;      // columns of a group, 1 .. in; the last group may be shorter
  bool symmetric = false;      // every zero is 2^(bits-1)
  at::Tensor codes;            // (out, in) uint8, 0 .. 2^bits - 1, in the file's column order
  at::Tensor scales;           // (out, groups) float32, > 0, symmetric: not 0; bilevel: as
                               // reconstructed
  at::Tensor zeros;            // (out, groups) uint8, 0 .. 2^bits - 1; or float32: fractions, as
                               // reconstructed from bilevel->zeros
  at::Tensor group_of_column;  // (in) int32; undefined: column / group_size
  at::Tensor dead_columns;     // (dead) int32, ascending: their weights are 0 whatever the codes
                               // say (a grid that has no code for 0); undefined: none
  std::optional<BilevelStatistics> bilevel;
  std::optional<Outliers> outliers;
  std::optional<SplitOutliers> split;
  std::optional<BinaryPlanes> binary;   // then bits is 2, and scales and zeros are undefined
  std::optional<SuperBlocks> blocks;    // then scales are products, and zeros are undefined
  std::optional<VectorBlocks> vectors;  // the same; bits is 4
  std::optional<TrellisTiles> trellis;  // bits is 1 .. 4, scales are float16, zeros are undefined

  int64_t out() const { return codes.size(0); }
  int64_t in() const { return codes.size(1); }
  int64_t groups() const { return binary ? binary->scales.size(1) : scales.size(1); }
  GridKind kind() const;  // by the optional parts
  // Its weights are found all at once: a row is made of many rows of codes.
  bool is_rotated() const { return trellis && trellis->rotation; }
};

// The weights this stands for, one float32 difference and product each.  -> (out, in) float32
at::Tensor dequantize(const QuantizedLinear& linear);

// The same for rows [begin, begin + count) only.  -> (count, in) float32
at::Tensor dequantize_rows(const QuantizedLinear& linear, int64_t begin, int64_t count);

// The group of every column, whether it is written down in the linear or not.  -> (in) int32
at::Tensor column_groups(const QuantizedLinear& linear);

// Share of the weights kept outside the grid, or having scales of their own.
double outlier_share(const QuantizedLinear& linear);

// The papers' count (methods.md 10), over out * in: codes; 16 bits a scale and `bits` a zero (none
// when symmetric), or first-level codes and 16-bit second-level numbers; 32 bits an outlier; on a
// split grid second scales and zeros, and an outlier's position in its group. A
// group index counts 32 bits a column, but nothing beside a bilevel grid, where the papers leave
// it out.
double bits_per_weight(const QuantizedLinear& linear);

}  // namespace halftone
