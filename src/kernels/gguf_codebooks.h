// The codebooks of GGUF's vector types (formats.md 12): what an index of a block stands for.
#pragma once

#include <array>
#include <cstdint>

namespace halftone {

// Magnitudes, or the numbers themselves (kIq1Grid: -1, 0, 1), of neighbouring weights.
using GgufPoint8 = std::array<int8_t, 8>;
using GgufPoint4 = std::array<int8_t, 4>;

extern const std::array<GgufPoint8, 256> kIq2XxsGrid;
extern const std::array<GgufPoint8, 512> kIq2XsGrid;
extern const std::array<GgufPoint8, 1024> kIq2SGrid;
extern const std::array<GgufPoint4, 256> kIq3XxsGrid;
extern const std::array<GgufPoint4, 512> kIq3SGrid;
extern const std::array<GgufPoint8, 2048> kIq1Grid;  // of IQ1_S and IQ1_M

// The levels of IQ4_NL and IQ4_XS, and twice those of E2M1 (MXFP4, NVFP4).
inline constexpr std::array<int8_t, 16> kIq4Levels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                   1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr std::array<int8_t, 16> kE2m1Levels{0, 1,  2,  3,  4,  6,  8,  12,
                                                    0, -1, -2, -3, -4, -6, -8, -12};

// The levels of E2M1 once each, ascending, doubled likewise; those of Q1_0.
inline constexpr std::array<int8_t, 15> kE2m1Ascending{-12, -8, -6, -4, -3, -2, -1, 0,
                                                       1,   2,  3,  4,  6,  8,  12};
inline constexpr std::array<int8_t, 2> kSignLevels{-1, 1};

}  // namespace halftone
