// The hot loops of the column sweep and of the grid searches (methods.md 4.1, 7.1),
// single-threaded, on raw pointers.
//
// Everything here works on a tile: some columns of 16 consecutive output rows, stored column after
// column, so that tile[column * 16 + lane] is the weight of row `lane`. Rows are independent in the
// sweep, so each row is a lane of a vector register and no loop has a remainder. Pointers need the
// alignment of their type only.
#pragma once

#include <cstdint>

#include "kernels/binary_kernels.h"
#include "kernels/instruction_set.h"
#include "kernels/super_block_kernels.h"
#include "kernels/vector_grid_kernels.h"

namespace halftone {

inline constexpr int64_t kLanes = 16;

// What a scale may be: at least the smallest subnormal of float16, or the smallest normal number of
// bfloat16 and float32. Where all weights are 0 it means nothing and is 2^-14.
inline constexpr double kLeastFloat16Scale = 0x1p-24, kLeastNormalFloat16 = 0x1p-14;
inline constexpr double kLeastWideScale = 0x1p-126;
inline constexpr double kScaleOfZeros = 0x1p-14;

constexpr double least_scale(bool float16) {
  return float16 ? kLeastFloat16Scale : kLeastWideScale;
}

// A uniform grid's rules, the same for every group of a linear (methods.md 4.1).
struct UniformRule {
  int top = 15;            // greatest code, 2^bits - 1
  bool symmetric = false;  // zero is (top + 1) / 2 everywhere
  int zero_min = 0;        // least zero of an asymmetric grid
  int scale_bits = 8;  // significant bits of a scale; 0 = all that a float32 has (methods.md 4.6)
  int candidates = 1;  // ranges tried: 1 - i / 100 of the full one, i < candidates
  double clip_norm = 2.4;       // exponent of the error that chooses among them
  bool signed_scale = false;    // symmetric: a scale may be negative
  bool float16_scales = false;  // a scale is a float16 number, else one of float32's range
};

// A min-max grid without stored numbers: its range is all there is to it (methods.md 4.1).
struct RangeRule {
  int top = 7;             // greatest code, 2^bits - 1
  bool symmetric = false;  // the range is that of +-max|w|, zero is (top + 1) / 2
};

// An orthonormal Hadamard matrix M = core (x) Sylvester's of order 2^p (methods.md 8.4).
struct HadamardRule {
  int64_t core = 1, power = 1;    // orders; power is 2^p
  const int8_t* signs = nullptr;  // (core, core) +1 and -1; null where core is 1
  double scale = 1;               // 1 / sqrt(core * power)
};

template <class T>  // float or double: the type of the weights
struct LaneKernels {
  // Fits one group: a scale (a float32's value, at least least_scale) and an integer zero for each
  // lane.
  // tile: (columns, 16); importance: (columns), weight of a column's error; scales, zeros: (16)
  void (*fit_uniform)(const UniformRule& rule, int64_t columns, const T* tile, const T* importance,
                      T* scales, T* zeros);

  // The same over some of a tile's weights, each lane over its own; a lane without any gets the
  // grid of zeros. members: (columns, 16), 1 where a weight counts, else 0
  void (*fit_uniform_members)(const UniformRule& rule, int64_t columns, const T* tile,
                              const T* importance, const T* members, T* scales, T* zeros);

  // code = clamp(rint(w / scale) + zero, 0, top), half to even; value = scale * (code - zero).
  // Symmetric: a weight on the tie between codes 0 and 1 takes code 1. weights, scales, zeros,
  // values: (16); codes: (16)
  void (*round_uniform)(const UniformRule& rule, const T* weights, const T* scales, const T* zeros,
                        uint8_t* codes, T* values);

  // A rounded column's part in the sums, then its error e = (w - value) / pivot in place of w.
  // start: (16) what the column should be like; column: (16) w in, e out; error: (16) += e^2;
  // difference: (16) += (start - value)^2
  void (*take_error)(T pivot, const T* start, const T* values, T* column, T* error, T* difference);

  // tile[column][lane] -= factors[column] * lanes[lane].   tile: (columns, 16); factors: (columns);
  // lanes: (16)
  void (*subtract_outer)(int64_t columns, const T* factors, const T* lanes, T* tile);

  // Least and greatest weight of each lane.   tile: (columns, 16); low, high: (16)
  void (*range)(int64_t columns, const T* tile, T* low, T* high);

  // Zeros may be fractions: code = rint(clamp(w / scale + zero, 0, top)), half to even; value =
  // scale * (code - zero).   weights, scales, zeros, values: (16); codes: (16)
  void (*round_shifted)(int top, const T* weights, const T* scales, const T* zeros, uint8_t* codes,
                        T* values);

  // What taking one weight out of a group would gain (methods.md 5.1, step A): the sum of
  // importance * error^2 on the grid of the whole group, less that of the others on the grid of the
  // others. Exact in O(columns): only the two ends of the range change the grid. tile, gains:
  // (columns, 16); importance: (columns)
  void (*leave_one_out)(const RangeRule& rule, int64_t columns, const T* tile, const T* importance,
                        T* gains);

  // x M of each lane: sums and differences of pairs of columns 1, 2, 4, ... apart, then those of
  // the core from its first row on, then a product with the scale; the same bits everywhere.
  // tile, scratch: (core * power, 16)
  void (*hadamard)(const HadamardRule& rule, T* tile, T* scratch);

  BinaryKernels<T> binary;
  SuperBlockKernels<T> super_block;
  VectorGridKernels<T> vector_grid;
};

// The loops compiled for `set`, which must be one of available_instruction_sets().
template <class T>
LaneKernels<T> lane_kernels(InstructionSet set = best_instruction_set());

}  // namespace halftone
