// One quantized linear: where `quantize` and `format` meet.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace halftone {

// The outliers of a split grid (METHODS 4.5): they have scales of their own and codes of as many
// bits. A code is scale * (code - zero), or, as sign (the highest bit) and magnitude,
// +-(floor + scale * magnitude).
struct SplitOutliers {
  at::Tensor members;  // (out, in) bool, in the file's column order
  at::Tensor scales;   // (out, groups) float32, > 0
  at::Tensor zeros;    // (out, groups) uint8; with sign and magnitude all 0
  bool sign_magnitude = false;
  float floor = 0;  // >= 0; with sign and magnitude only
};

// A uniform grid: w = scale * (code - zero), one scale and zero per row and group of columns
// (METHODS 4.1). Scales have already been rounded to what a file stores, so this is what was
// measured and what is read back.
struct QuantizedLinear {
  int bits = 0;                // 2 .. 8
  int64_t group_size = 0;      // columns of a group, 1 .. in; the last group may be shorter
  bool symmetric = false;      // every zero is 2^(bits-1)
  at::Tensor codes;            // (out, in) uint8, 0 .. 2^bits - 1, in the file's column order
  at::Tensor scales;           // (out, groups) float32, > 0
  at::Tensor zeros;            // (out, groups) uint8, 0 .. 2^bits - 1
  at::Tensor group_of_column;  // (in) int32; undefined: column / group_size
  std::optional<SplitOutliers> split;  // weights that codes, scales and zeros mean otherwise for

  int64_t out() const { return codes.size(0); }
  int64_t in() const { return codes.size(1); }
  int64_t groups() const { return scales.size(1); }
};

// The weights this stands for, one float32 multiplication each.  -> (out, in) float32
at::Tensor dequantize(const QuantizedLinear& linear);

// Stored bits of codes, scales (16 each) and zeros (`bits` each, none when symmetric) and of a
// group index where there is one (32 a column), over out * in (METHODS 10). A split grid has a
// second scale and zero, and the position of each outlier in its group.
double bits_per_weight(const QuantizedLinear& linear);

}  // namespace halftone
