// The hot loops of grids whose weights are rounded several at a time to points of a codebook
// (methods.md 4.7), single-threaded, on tiles as in lane_kernels.h: (columns, 16), a row a lane.
#pragma once

#include <cstdint>
#include <string_view>

namespace halftone {

inline constexpr int kVectorColumns = 8;  // rounded together: a point of 8, or two of 4

// What the vector types of GGUF hold: magnitudes from a codebook, a sign each, and groups whose
// scales are odd multiples of one float16 number.
//   value = sign * magnitude * (2 scale_code + 1) * unit * step
struct VectorRule {
  std::string_view type;    // "IQ2_XXS"
  int dims, points;         // of a point: 8 or 4; of the codebook
  const uint8_t* levels;    // (points, dims): which magnitude
  const uint8_t* halves;    // (half_count, dims / 2): the halves of points, as levels
  const uint8_t* half_ids;  // (points, 2): which halves a point is made of
  int half_count;           // at most 81
  const float* magnitudes;  // ascending
  int magnitude_count;      // at most 8
  bool even;                // an even number of any 8 weights is negative
  int columns, groups;      // of a group: 16 or 32; of 256 columns
  double unit;
};

// nullptr: no such type.
const VectorRule* find_vector_rule(std::string_view type);

// A weight's code: which magnitude, and 8 more where it is negative.
inline constexpr int kNegative = 8;

// The index of the point that the first rule.dims of `codes` are, -1: of none.
int64_t point_of(const VectorRule& rule, const uint8_t* codes);

// Whether every eight of so many codes are points of the rule, with signs that it allows.
bool are_points(const VectorRule& rule, const uint8_t* codes, int64_t count);

template <class T>  // float or double: the type of the weights
struct VectorGridKernels {
  // Scales of one super-block for the least sum of importance * (value - w)^2 that is found.
  // thorough: false, a shorter search; tile: (256, 16); importance: (256); scale_codes: (groups,
  // 16), whole numbers 0 .. 15; steps: (16) float16 numbers
  void (*fit)(const VectorRule& rule, bool thorough, const T* tile, const T* importance,
              T* scale_codes, T* steps);

  // The best codes for eight columns of one group, each error counted by its column's importance;
  // of equals the first point.   tile: (8, 16); importance: (8); scales: (16), not negative; codes:
  // (8, 16)
  void (*choose)(const VectorRule& rule, const T* tile, const T* importance, const T* scales,
                 uint8_t* codes);
};

}  // namespace halftone
