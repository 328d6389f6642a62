// The bitshift trellis (methods.md 4.8; Tseng et al. 2024, QTIP, arXiv 2406.11235): a tile of 256
// weights becomes a circle of 256 codes of `bits` bits each. A weight's value is that of a state,
// the last `state_bits` bits of the circle up to and with its own code, so a code costs `bits` and
// reaches 2^state_bits values. Single-threaded.
//
// The best circle is found by Viterbi's algorithm. States that differ in their last `bits` bits
// alone have the same predecessors, so what is kept of a step is one least cost a class of them,
// and which predecessor it came from, `bits` bits, packed into bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/instruction_set.h"

namespace halftone {

inline constexpr int kTrellisTile = 256;
inline constexpr int kLeastStateBits = 8, kMostStateBits = 16;
inline constexpr int kMostTrellisBits = 4;

// The value of a state; null: no such code. "3inst" and "mcg": a multiplication makes the state two
// float16 numbers, whose sum is rounded to float16; "1mad": the sum of four bytes, less its mean.
using TrellisCodeValue = float (*)(uint32_t state);
TrellisCodeValue find_trellis_code(std::string_view word);

struct TrellisRule {
  int bits = 2;                   // of a code, 1 .. 4
  int state_bits = 12;            // 8 .. 16
  const float* values = nullptr;  // (2^state_bits)
};

// Bytes that an encoder works in, aligned as a float is: two lists of least costs, which are read
// up to so many numbers beyond their end, and packed predecessors of every step.
inline constexpr int kTrellisPadding = 16;
size_t trellis_scratch_bytes(const TrellisRule& rule);

// codes: (256), below 2^bits -> values: (256)
void decode_trellis(const TrellisRule& rule, const uint8_t* codes, float* values);

struct TrellisKernels {
  // The circle of codes with the least sum of weights * (x - value)^2 among those that pass through
  // one class of states at the tile's start: the class that is best when the tile's last weights
  // and first ones are coded alone, across the start. x: (256); weights: (256), above 0; codes:
  // (256). All instruction sets give the same.
  void (*encode)(const TrellisRule& rule, const float* x, const float* weights, uint8_t* codes,
                 void* scratch);
};

// The loops compiled for `set`, which must be one of available_instruction_sets().
TrellisKernels trellis_kernels(InstructionSet set = best_instruction_set());

}  // namespace halftone
