// The second level of a bilevel grid (methods.md 4.2; Dettmers et al. 2023, SpQR, arXiv
// 2306.03078): the scales of one group of columns in a run of rows, or their zeros, on a min-max
// grid of their own.
//
// Deviations from the public code, all of methods.md 4.2: step and zero are rounded to float16, as
// they are stored, before anything is coded; a run of nearly equal numbers is one float16 number,
// where a float16 zero would overflow or a default range would move it; numbers of constant groups
// do not widen a run.
#pragma once

#include <cstdint>
#include <span>

namespace halftone {

// One number of a run.
struct RunMember {
  double number = 0;
  bool flexible = false;  // of a constant group: it takes what the others leave it
};

struct RunGrid {
  float step = 0, zero = -1;  // each exactly a float16
  bool single = true;         // code 0 alone, which stands for `step`

  // What a code stands for, in float32 as a reader computes it.
  float value(uint8_t code) const { return step * (static_cast<float>(code) - zero); }
};

// Two numbers closer than this share of the greater magnitude are one on a grid with codes 0 ..
// top: 2^-10, or more where a float16 zero would otherwise be beyond 2^15.
double least_spread(int top);

// Fits the run's grid and codes every member. positive: all values must be above 0.
// members: 1 .. 16, finite -> codes: as many, 0 .. top
RunGrid code_run(std::span<const RunMember> members, int top, bool positive, uint8_t* codes);

}  // namespace halftone
