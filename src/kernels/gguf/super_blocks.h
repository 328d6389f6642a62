// Super-blocks of 256 weights: groups of 16 or 32 whose scales are small whole numbers of one
// float16 scale. `pack` is the way back from the numbers that `decode` multiplies.
#pragma once

#include "kernels/gguf/single_blocks.h"
#include "kernels/gguf_blocks.h"
#include "kernels/gguf_codebooks.h"

namespace halftone::gguf {

// Codes of two bits, 128 weights in 32 bytes: byte l holds weights l, l + 32, l + 64, l + 96.
struct Q2_K {
  static constexpr int kWeights = 256, kBytes = 84;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from + 80), least = float16_at(from + 82);
    for (int group = 0; group < 16; ++group) {
      const uint8_t* codes = from + 16 + 32 * (group / 8) + 16 * (group % 2);
      const int shift = 2 * ((group / 2) % 4);
      const float scale = d * static_cast<float>(from[group] & 15);
      const float offset = least * static_cast<float>(from[group] >> 4);
      for (int l = 0; l < 16; ++l)
        to[16 * group + l] = scale * static_cast<float>((codes[l] >> shift) & 3) - offset;
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    for (int group = 0; group < 16; ++group) {
      to[group] = static_cast<uint8_t>(from.scale_codes[group] | from.offset_codes[group] << 4);
      uint8_t* codes = to + 16 + 32 * (group / 8) + 16 * (group % 2);
      for (int l = 0; l < 16; ++l)
        put_bits(codes[l], 2 * ((group / 2) % 4), from.codes[16 * group + l]);
    }
    store(to + 80, from.scale());
    store(to + 82, from.offset);
  }
};

// As Q2_K, with a third bit: bit k of byte l of the mask belongs to weight 32 k + l.
struct Q3_K {
  static constexpr int kWeights = 256, kBytes = 110;
  static void decode(const uint8_t* from, float* to) {
    const uint8_t *mask = from, *scales = from + 96;
    const float d = float16_at(from + 108);
    for (int group = 0; group < 16; ++group) {
      const uint8_t* codes = from + 32 + 32 * (group / 8) + 16 * (group % 2);
      const uint8_t* high = mask + 16 * (group % 2);
      const int shift = 2 * ((group / 2) % 4), bit = group / 2;
      const float scale = d * static_cast<float>(scale_of(scales, group) - 32);
      for (int l = 0; l < 16; ++l) {
        const int code = ((codes[l] >> shift) & 3) + 4 * ((high[l] >> bit) & 1) - 4;
        to[16 * group + l] = scale * static_cast<float>(code);
      }
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    uint8_t *mask = to, *scales = to + 96;
    for (int group = 0; group < 16; ++group) {
      const int scale = from.scale_codes[group] + 32;
      put_bits(scales[group % 8], 4 * (group / 8), scale & 15);
      put_bits(scales[8 + group % 4], 2 * (group / 4), scale >> 4);
      uint8_t* codes = to + 32 + 32 * (group / 8) + 16 * (group % 2);
      for (int l = 0; l < 16; ++l) {
        const int code = from.codes[16 * group + l];
        put_bits(codes[l], 2 * ((group / 2) % 4), code & 3);
        put_bits(mask[16 * (group % 2) + l], group / 2, code >> 2);
      }
    }
    store(to + 108, from.scale());
  }

 private:
  // Four low bits in the halves of eight bytes, two high bits in the four bytes behind them.
  static int scale_of(const uint8_t* scales, int group) {
    const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
    return low | ((scales[8 + group % 4] >> (2 * (group / 4))) & 3) << 4;
  }
};

// The eight 6-bit scales and mins of Q4_K and Q5_K, in 12 bytes.
struct SixBitPair {
  int scale, least;
};
inline SixBitPair six_bit_pair(const uint8_t* from, int group) {
  if (group < 4) return {from[group] & 63, from[group + 4] & 63};
  return {(from[group + 4] & 15) | (from[group - 4] >> 6) << 4,
          (from[group + 4] >> 4) | (from[group] >> 6) << 4};
}

inline void put_six_bit_pairs(const GgufBlock& from, uint8_t* to) {
  for (int group = 0; group < 4; ++group) {
    const int scale = from.scale_codes[group + 4], least = from.offset_codes[group + 4];
    to[group] = static_cast<uint8_t>(from.scale_codes[group] | (scale >> 4) << 6);
    to[group + 4] = static_cast<uint8_t>(from.offset_codes[group] | (least >> 4) << 6);
    to[group + 8] = static_cast<uint8_t>((scale & 15) | (least & 15) << 4);
  }
}

// Codes of four bits, 64 weights in 32 bytes: byte l holds weights l and l + 32.
struct Q4_K {
  static constexpr int kWeights = 256, kBytes = 144;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from), least = float16_at(from + 2);
    for (int group = 0; group < 8; ++group) {
      const SixBitPair pair = six_bit_pair(from + 4, group);
      const float scale = d * static_cast<float>(pair.scale);
      const float offset = least * static_cast<float>(pair.least);
      const uint8_t* codes = from + 16 + 32 * (group / 2);
      const int shift = 4 * (group % 2);
      for (int l = 0; l < 32; ++l)
        to[32 * group + l] = scale * static_cast<float>((codes[l] >> shift) & 15) - offset;
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    store(to + 2, from.offset);
    put_six_bit_pairs(from, to + 4);
    for (int i = 0; i < kWeights; ++i)
      put_bits(to[16 + 32 * (i / 64) + i % 32], 4 * ((i / 32) % 2), from.codes[i]);
  }
};

// As Q4_K, with a fifth bit: bit k of byte l belongs to weight 32 k + l.
struct Q5_K {
  static constexpr int kWeights = 256, kBytes = 176;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from), least = float16_at(from + 2);
    const uint8_t* high = from + 16;
    for (int group = 0; group < 8; ++group) {
      const SixBitPair pair = six_bit_pair(from + 4, group);
      const float scale = d * static_cast<float>(pair.scale);
      const float offset = least * static_cast<float>(pair.least);
      const uint8_t* codes = from + 48 + 32 * (group / 2);
      const int shift = 4 * (group % 2);
      for (int l = 0; l < 32; ++l) {
        const int code = ((codes[l] >> shift) & 15) | ((high[l] >> group) & 1) << 4;
        to[32 * group + l] = scale * static_cast<float>(code) - offset;
      }
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    store(to + 2, from.offset);
    put_six_bit_pairs(from, to + 4);
    for (int i = 0; i < kWeights; ++i) {
      put_bits(to[48 + 32 * (i / 64) + i % 32], 4 * ((i / 32) % 2), from.codes[i] & 15);
      put_bits(to[16 + i % 32], i / 32, from.codes[i] >> 4);
    }
  }
};

// 128 weights in 64 bytes of low halves and 32 bytes of two high bits: of weights l and l + 32 the
// low halves of bytes l and l + 32, of l + 64 and l + 96 the high ones; the tops in that order.
struct Q6_K {
  static constexpr int kWeights = 256, kBytes = 210;
  static void decode(const uint8_t* from, float* to) {
    const uint8_t* scales = from + 192;
    const float d = float16_at(from + 208);
    for (int group = 0; group < 16; ++group) {
      const int half = group / 8, quarter = (group / 2) % 4, odd = 16 * (group % 2);
      const uint8_t* low = from + 64 * half + 32 * (quarter % 2) + odd;
      const uint8_t* high = from + 128 + 32 * half + odd;
      const int low_shift = 4 * (quarter / 2), high_shift = 2 * quarter;
      const float scale = d * static_cast<float>(static_cast<int8_t>(scales[group]));
      for (int l = 0; l < 16; ++l) {
        const int code = ((low[l] >> low_shift) & 15) | ((high[l] >> high_shift) & 3) << 4;
        to[16 * group + l] = scale * static_cast<float>(code - 32);
      }
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    for (int i = 0; i < kWeights; ++i) {
      const int half = i / 128, quarter = (i / 32) % 4;
      put_bits(to[64 * half + i % 64], 4 * (quarter / 2), from.codes[i] & 15);
      put_bits(to[128 + 32 * half + i % 32], 2 * quarter, from.codes[i] >> 4);
    }
    for (int group = 0; group < 16; ++group)
      to[192 + group] = static_cast<uint8_t>(from.scale_codes[group]);
    store(to + 208, from.scale());
  }
};

// Groups of 32 on the levels of IQ4_NL: four low bits of a scale in a half byte, two in a word.
struct Iq4Xs {
  static constexpr int kWeights = 256, kBytes = 136;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    const auto high = number_at<uint16_t>(from + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (from[4 + group / 2] >> (4 * (group % 2))) & 15;
      const float scale = d * static_cast<float>((low | ((high >> (2 * group)) & 3) << 4) - 32);
      decode_halves<32>(from + 8 + 16 * group, to + 32 * group,
                        [=](int q) { return scale * kIq4Levels[static_cast<size_t>(q)]; });
    }
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    unsigned high = 0;
    for (int group = 0; group < 8; ++group) {
      const unsigned scale = static_cast<unsigned>(from.scale_codes[group] + 32);
      put_bits(to[4 + group / 2], 4 * (group % 2), static_cast<int>(scale & 15));
      high |= (scale >> 4) << (2 * group);
      pack_halves(from.codes + 32 * group, to + 8 + 16 * group);
    }
    store(to, from.scale());
    store(to + 2, static_cast<uint16_t>(high));
  }
};

}  // namespace halftone::gguf
