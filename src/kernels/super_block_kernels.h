// The hot loops of grids in super-blocks (methods.md 4.3), single-threaded, on tiles as in
// lane_kernels.h: (columns, 16), a row a lane.
#pragma once

#include <cstdint>

namespace halftone {

// What the scale of a block may be, of either sign or, where it is no float16, above 0.
enum class StepKind {
  kFloat16,
  kPowerOfTwo,  // 2^-24 .. 2^15 (MXFP4, within float16)
  kUe4m3        // of four significant bits, with kUe4m3Unit for a 1/2 (NVFP4)
};
// Half of what 1 is to a scale of NVFP4: its tensor's own scale, the same for all, beside which the
// least scale with all its bits is 2^-15 and the greatest 0.875.
inline constexpr double kNvfp4TensorScale = 0x1p-8, kUe4m3Unit = kNvfp4TensorScale / 2;

// What the blocks of one type hold: groups whose scales, and offsets where it has them, are whole
// numbers of one float16 scale and one float16 offset.
//   value = scale * scale_code * code - offset * offset_code
// or, where levels are given, those of the code in place of the code.
struct SuperBlockRule {
  int groups = 8, columns = 32;         // of a super-block; of a group
  int least = 0, top = 15;              // codes; of levels the least and the greatest level
  const int8_t* levels = nullptr;       // ascending; null: codes are whole numbers
  int level_count = 16;                 // at most 16
  int least_scale = 0, top_scale = 63;  // codes of scales: 0 .. top, or -n .. n - 1
  int top_offset = 63;                  // codes of offsets; 0: none
  bool search = true;                   // false: scales by the range of each group alone
  // Symmetric: the greatest weights are given codes or levels so far apart, 19 in all.
  double apart = 0.1;
  StepKind step = StepKind::kFloat16;
};

// Of one super-block, 16 rows; whole numbers as T.
template <class T>
struct SuperBlockNumbers {
  T *scale_codes, *offset_codes;  // (groups, 16); offset_codes: null where there are none
  T *scale, *offset;              // (16), float16 numbers
};

template <class T>  // float or double: the type of the weights
struct SuperBlockKernels {
  // The least sum of importance * (value - w)^2 that the search finds: never above that of the
  // groups' own ranges.   tile: (groups * columns, 16); importance: (groups * columns)
  void (*fit)(const SuperBlockRule& rule, const T* tile, const T* importance,
              SuperBlockNumbers<T> numbers);

  // The nearest value of a group, codes from 0 up.   scales, offsets: (16) those of the group, i.e.
  // scale * scale_code, offset * offset_code; weights, values: (16); codes: (16)
  void (*round)(const SuperBlockRule& rule, const T* weights, const T* scales, const T* offsets,
                uint8_t* codes, T* values);
};

}  // namespace halftone
