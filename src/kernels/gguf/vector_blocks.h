// Super-blocks of 256 weights whose magnitudes come eight or four at a time from a codebook. `pack`
// is the way back from points and signs.
#pragma once

#include <bit>

#include "kernels/gguf/numbers.h"
#include "kernels/gguf_blocks.h"
#include "kernels/gguf_codebooks.h"
#include "kernels/vector_grid_kernels.h"

namespace halftone::gguf {

// signs: bit i set, weight i is negative. Without a branch, which nobody could foresee.
template <size_t kCount>
inline void write_signed(const std::array<int8_t, kCount>& point, unsigned signs, float scale,
                         float* to) {
  for (unsigned i = 0; i < kCount; ++i) {
    const float magnitude = scale * static_cast<float>(point[i]);
    const uint32_t sign = ((signs >> i) & 1) << 31;
    to[i] = float_of(std::bit_cast<uint32_t>(magnitude) ^ sign);
  }
}

// Seven signs are stored; an even number of eight is negative.
inline unsigned with_parity(unsigned seven) {
  unsigned parity = seven ^ (seven >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1) << 7;
}

// The points of a super-block, and the signs of each eight weights.
struct PointsAndSigns {
  uint16_t points[64];
  uint8_t signs[32];
};
inline PointsAndSigns points_and_signs(std::string_view type, const uint8_t* codes) {
  const VectorRule& rule = *find_vector_rule(type);
  PointsAndSigns found{};
  for (int i = 0; i < 256; ++i)
    if (codes[i] >= kNegative)
      found.signs[i / 8] = static_cast<uint8_t>(found.signs[i / 8] | 1 << (i % 8));
  for (int i = 0; i < 256 / rule.dims; ++i)
    found.points[i] = static_cast<uint16_t>(point_of(rule, codes + i * rule.dims));
  return found;
}

// Codes of the scales of 16 weights, two a byte.
inline void put_half_bytes(const int8_t* codes, int count, uint8_t* to) {
  for (int i = 0; i < count; ++i)
    to[i / 2] = static_cast<uint8_t>(to[i / 2] | codes[i] << (4 * (i % 2)));
}

// Of 32 weights: four times seven signs, a 4-bit scale.
inline void put_signs_and_scale(const uint8_t* signs, int8_t scale, uint8_t* to) {
  uint32_t word = static_cast<uint32_t>(scale) << 28;
  for (int k = 0; k < 4; ++k) word |= (signs[k] & 127U) << (7 * k);
  store(to, word);
}

inline float half_step(float d, unsigned scale, float unit) {
  return d * (0.5F + static_cast<float>(scale)) * unit;
}

// Per 32 weights four indices of 8 bits, then a word: four times seven signs, a 4-bit scale.
struct Iq2Xxs {
  static constexpr int kWeights = 256, kBytes = 66;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* ids = from + 2 + 8 * group;
      const auto word = number_at<uint32_t>(ids + 4);
      const float scale = half_step(d, word >> 28, 0.25F);
      for (int k = 0; k < 4; ++k, to += 8)
        write_signed(kIq2XxsGrid[ids[k]], with_parity((word >> (7 * k)) & 127), scale, to);
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    const PointsAndSigns found = points_and_signs("IQ2_XXS", from.codes);
    store(to, from.scale());
    for (int k = 0; k < 32; ++k)
      to[2 + 8 * (k / 4) + k % 4] = static_cast<uint8_t>(found.points[k]);
    for (int group = 0; group < 8; ++group)
      put_signs_and_scale(found.signs + 4 * group, from.scale_codes[group], to + 6 + 8 * group);
  }
};

// A word per 8 weights: nine bits of index, seven signs; 4-bit scales of 16 weights at the end.
struct Iq2Xs {
  static constexpr int kWeights = 256, kBytes = 74;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    for (int k = 0; k < 32; ++k, to += 8) {
      const unsigned word = number_at<uint16_t>(from + 2 + 2 * k);
      const unsigned scale = (from[66 + k / 4] >> (4 * (k / 2 % 2))) & 15;
      write_signed(kIq2XsGrid[word & 511], with_parity(word >> 9), half_step(d, scale, 0.25F), to);
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    const PointsAndSigns found = points_and_signs("IQ2_XS", from.codes);
    store(to, from.scale());
    for (int k = 0; k < 32; ++k)
      store(to + 2 + 2 * k, static_cast<uint16_t>(found.points[k] | (found.signs[k] & 127) << 9));
    put_half_bytes(from.scale_codes, 16, to + 66);
  }
};

// Eight low bits of an index, eight signs, two high bits of four indices a byte, 4-bit scales
// of 16.
struct Iq2S {
  static constexpr int kWeights = 256, kBytes = 82;
  static void decode(const uint8_t* from, float* to) {
    const uint8_t *low = from + 2, *signs = from + 34, *high = from + 66, *scales = from + 74;
    const float d = float16_at(from);
    for (int k = 0; k < 32; ++k, to += 8) {
      const unsigned id = low[k] | ((high[k / 4] >> (2 * (k % 4))) & 3U) << 8;
      const unsigned scale = (scales[k / 4] >> (4 * (k / 2 % 2))) & 15;
      write_signed(kIq2SGrid[id], signs[k], half_step(d, scale, 0.25F), to);
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    const PointsAndSigns found = points_and_signs("IQ2_S", from.codes);
    store(to, from.scale());
    for (int k = 0; k < 32; ++k) {
      to[2 + k] = static_cast<uint8_t>(found.points[k]);
      to[34 + k] = found.signs[k];
      put_bits(to[66 + k / 4], 2 * (k % 4), found.points[k] >> 8);
    }
    put_half_bytes(from.scale_codes, 16, to + 74);
  }
};

// Indices of four weights each, then per 32 weights a word as in IQ2_XXS.
struct Iq3Xxs {
  static constexpr int kWeights = 256, kBytes = 98;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    const uint8_t* ids = from + 2;
    for (int group = 0; group < 8; ++group) {
      const auto word = number_at<uint32_t>(from + 66 + 4 * group);
      const float scale = half_step(d, word >> 28, 0.5F);
      for (int k = 0; k < 4; ++k, ids += 2, to += 8) {
        const unsigned signs = with_parity((word >> (7 * k)) & 127);
        write_signed(kIq3XxsGrid[ids[0]], signs, scale, to);
        write_signed(kIq3XxsGrid[ids[1]], signs >> 4, scale, to + 4);
      }
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    const PointsAndSigns found = points_and_signs("IQ3_XXS", from.codes);
    store(to, from.scale());
    for (int k = 0; k < 64; ++k) to[2 + k] = static_cast<uint8_t>(found.points[k]);
    for (int group = 0; group < 8; ++group)
      put_signs_and_scale(found.signs + 4 * group, from.scale_codes[group], to + 66 + 4 * group);
  }
};

// Indices of four weights each with a ninth bit, eight signs, 4-bit scales of 32.
struct Iq3S {
  static constexpr int kWeights = 256, kBytes = 110;
  static void decode(const uint8_t* from, float* to) {
    const uint8_t *low = from + 2, *high = from + 66, *signs = from + 74, *scales = from + 106;
    const float d = float16_at(from);
    for (int group = 0; group < 8; ++group) {
      const int code = (scales[group / 2] >> (4 * (group % 2))) & 15;
      const float scale = d * static_cast<float>(1 + 2 * code);
      for (int k = 0; k < 8; ++k, to += 4) {
        const unsigned id = low[8 * group + k] | ((high[group] >> k) & 1U) << 8;
        write_signed(kIq3SGrid[id], signs[4 * group + k / 2] >> (4 * (k % 2)), scale, to);
      }
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    const PointsAndSigns found = points_and_signs("IQ3_S", from.codes);
    store(to, from.scale());
    for (int k = 0; k < 64; ++k) {
      to[2 + k] = static_cast<uint8_t>(found.points[k]);
      put_bits(to[66 + k / 8], k % 8, found.points[k] >> 8);
    }
    for (int k = 0; k < 32; ++k) to[74 + k] = found.signs[k];
    put_half_bytes(from.scale_codes, 8, to + 106);
  }
};

// Ternary points, all moved by an eighth up or down.
inline void write_moved(const GgufPoint8& point, bool down, float scale, float* to) {
  const float move = down ? -0.125F : 0.125F;
  for (size_t i = 0; i < 8; ++i) to[i] = scale * (static_cast<float>(point[i]) + move);
}

// Eight low bits of an index; per 32 weights a word: four times three high bits, a 3-bit scale, the
// way of the move.
struct Iq1S {
  static constexpr int kWeights = 256, kBytes = 50;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    for (int group = 0; group < 8; ++group) {
      const unsigned word = number_at<uint16_t>(from + 34 + 2 * group);
      const float scale = d * static_cast<float>(2 * ((word >> 12) & 7) + 1);
      for (int k = 0; k < 4; ++k, to += 8) {
        const unsigned id = from[2 + 4 * group + k] | ((word >> (3 * k)) & 7) << 8;
        write_moved(kIq1Grid[id], (word & 0x8000) != 0, scale, to);
      }
    }
  }
};

// Eight low bits of an index; half a byte each of three high bits and the way of the move; four
// words of four 3-bit scales of 16, whose top halves are the float16 scale of all.
struct Iq1M {
  static constexpr int kWeights = 256, kBytes = 56;
  static void decode(const uint8_t* from, float* to) {
    unsigned words[4], all = 0;
    for (int i = 0; i < 4; ++i) {
      words[i] = number_at<uint16_t>(from + 48 + 2 * i);
      all |= (words[i] >> 12) << (4 * i);
    }
    const float d = float16_of(static_cast<uint16_t>(all));
    for (int k = 0; k < 32; ++k, to += 8) {
      const unsigned high = (from[32 + k / 2] >> (4 * (k % 2))) & 15;
      const unsigned scale = (words[k / 8] >> (3 * (k / 2 % 4))) & 7;
      write_moved(kIq1Grid[from[k] | (high & 7) << 8], (high & 8) != 0,
                  d * static_cast<float>(2 * scale + 1), to);
    }
  }
};

}  // namespace halftone::gguf
