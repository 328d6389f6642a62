// Blocks with one scale, or a scale and a least value: d q, d (q - zero), d q + m.
#pragma once

#include <array>
#include <cmath>

#include "kernels/gguf/numbers.h"
#include "kernels/gguf_blocks.h"
#include "kernels/gguf_codebooks.h"

namespace halftone::gguf {

// Codes of four bits: byte j holds weight j in its low half, weight j + count/2 in its high half.
template <int kCount, class Value>
inline void decode_halves(const uint8_t* from, float* to, Value value) {
  constexpr int kHalf = kCount / 2;
  for (int j = 0; j < kHalf; ++j) {
    to[j] = value(from[j] & 15);
    to[j + kHalf] = value(from[j] >> 4);
  }
}

// The way back, of four bits each of 32 codes.
inline void pack_halves(const uint8_t* codes, uint8_t* to) {
  for (int j = 0; j < 16; ++j) to[j] = static_cast<uint8_t>((codes[j] & 15) | codes[j + 16] << 4);
}

// What a block of 32 is rounded to nearest by, as ggml does it: its scale is rounded to float16
// only when it is stored.
struct Range {
  float least, greatest, extreme;  // extreme: the first weight of the greatest magnitude
};
inline Range range_of(const float* from) {
  Range range{from[0], from[0], 0};
  float magnitude = 0;
  for (int j = 0; j < 32; ++j) {
    range.least = from[j] < range.least ? from[j] : range.least;
    range.greatest = from[j] > range.greatest ? from[j] : range.greatest;
    const float each = std::fabs(from[j]);
    if (each > magnitude) range.extreme = from[j];
    magnitude = each > magnitude ? each : magnitude;
  }
  return range;
}
inline float inverse(float scale) {
  return scale == 0 ? 0 : 1 / scale;
}
inline void store_float16(uint8_t* to, float value) {
  store(to, nearest_float16_bits(value));
}
// 0 .. top, of a number from 0 on that its half has been added to.
inline unsigned code_of(float shifted, unsigned top) {
  const auto code = static_cast<unsigned>(static_cast<int>(shifted));
  return code < top ? code : top;
}

template <class Code>
inline void encode_halves(const float* from, uint8_t* to, Code code) {
  for (int j = 0; j < 16; ++j)
    to[j] = static_cast<uint8_t>(code(from[j]) | code(from[j + 16]) << 4);
}

struct Q4_0 {
  static constexpr int kWeights = 32, kBytes = 18;
  static void encode(const float* from, uint8_t* to) {
    const float d = range_of(from).extreme / -8, factor = inverse(d);
    store_float16(to, d);
    encode_halves(from, to + 2, [=](float w) { return code_of(w * factor + 8.5F, 15); });
  }
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    decode_halves<32>(from + 2, to, [=](int q) { return static_cast<float>(q - 8) * d; });
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    pack_halves(from.codes, to + 2);
  }
};

struct Q4_1 {
  static constexpr int kWeights = 32, kBytes = 20;
  static void encode(const float* from, uint8_t* to) {
    const Range range = range_of(from);
    const float d = (range.greatest - range.least) / 15, factor = inverse(d);
    store_float16(to, d);
    store_float16(to + 2, range.least);
    encode_halves(from, to + 4,
                  [=](float w) { return code_of((w - range.least) * factor + 0.5F, 15); });
  }
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from), m = float16_at(from + 2);
    decode_halves<32>(from + 4, to, [=](int q) { return static_cast<float>(q) * d + m; });
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    store(to + 2, from.offset);
    pack_halves(from.codes, to + 4);
  }
};

// The same with a fifth bit of each code in a word of its own, bit j of weight j.
template <class Value>
inline void decode_fives(const uint8_t* high, const uint8_t* from, float* to, Value value) {
  const auto fifth = number_at<uint32_t>(high);
  for (unsigned j = 0; j < 16; ++j) {
    to[j] = value(static_cast<int>((from[j] & 15U) | ((fifth >> j) & 1) << 4));
    to[j + 16] = value(static_cast<int>((from[j] >> 4) | ((fifth >> (j + 16)) & 1) << 4));
  }
}

inline void pack_fives(const uint8_t* codes, uint8_t* to) {
  uint32_t fifth = 0;
  for (unsigned j = 0; j < 32; ++j) fifth |= static_cast<uint32_t>(codes[j] >> 4) << j;
  store(to, fifth);
  pack_halves(codes, to + 4);
}

template <class Code>
inline void encode_fives(const float* from, uint8_t* high, uint8_t* to, Code code) {
  uint32_t fifth = 0;
  for (unsigned j = 0; j < 16; ++j) {
    const unsigned low = code(from[j]), upper = code(from[j + 16]);
    to[j] = static_cast<uint8_t>((low & 15) | (upper & 15) << 4);
    fifth |= (low >> 4) << j | (upper >> 4) << (j + 16);
  }
  store(high, fifth);
}

struct Q5_0 {
  static constexpr int kWeights = 32, kBytes = 22;
  static void encode(const float* from, uint8_t* to) {
    const float d = range_of(from).extreme / -16, factor = inverse(d);
    store_float16(to, d);
    encode_fives(from, to + 2, to + 6, [=](float w) { return code_of(w * factor + 16.5F, 31); });
  }
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    decode_fives(from + 2, from + 6, to, [=](int q) { return static_cast<float>(q - 16) * d; });
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    pack_fives(from.codes, to + 2);
  }
};

struct Q5_1 {
  static constexpr int kWeights = 32, kBytes = 24;
  static void encode(const float* from, uint8_t* to) {
    const Range range = range_of(from);
    const float d = (range.greatest - range.least) / 31, factor = inverse(d);
    store_float16(to, d);
    store_float16(to + 2, range.least);
    encode_fives(from, to + 4, to + 8,
                 [=](float w) { return code_of((w - range.least) * factor + 0.5F, 31); });
  }
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from), m = float16_at(from + 2);
    decode_fives(from + 4, from + 8, to, [=](int q) { return static_cast<float>(q) * d + m; });
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    store(to + 2, from.offset);
    pack_fives(from.codes, to + 4);
  }
};

struct Q8_0 {
  static constexpr int kWeights = 32, kBytes = 34;
  static void encode(const float* from, uint8_t* to) {
    const float d = std::fabs(range_of(from).extreme) / 127, factor = inverse(d);
    store_float16(to, d);
    for (int j = 0; j < 32; ++j)
      to[2 + j] = static_cast<uint8_t>(static_cast<int8_t>(std::round(from[j] * factor)));
  }
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    for (int j = 0; j < 32; ++j) to[j] = static_cast<float>(static_cast<int8_t>(from[2 + j])) * d;
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    for (int j = 0; j < 32; ++j) to[2 + j] = static_cast<uint8_t>(from.codes[j] - 128);
  }
};

struct Iq4Nl {
  static constexpr int kWeights = 32, kBytes = 18;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    decode_halves<32>(from + 2, to, [=](int q) { return d * kIq4Levels[static_cast<size_t>(q)]; });
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    pack_halves(from.codes, to + 2);
  }
};

}  // namespace halftone::gguf
