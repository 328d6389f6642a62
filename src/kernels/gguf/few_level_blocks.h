// Blocks with one scale, or a scale for each sixteen weights, whose codes stand for few levels:
// signs, thirds and quarters, and the numbers of E2M1.
#pragma once

#include <bit>

#include "kernels/gguf/single_blocks.h"
#include "kernels/super_block_kernels.h"

namespace halftone::gguf {

// A sign a weight: 1 is +d.
struct Q1_0 {
  static constexpr int kWeights = 128, kBytes = 18;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    for (int byte = 0; byte < 16; ++byte)
      for (int bit = 0; bit < 8; ++bit) to[8 * byte + bit] = (from[2 + byte] >> bit) & 1 ? d : -d;
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    for (int i = 0; i < 128; ++i) put_bits(to[2 + i / 8], i % 8, from.codes[i]);
  }
};

// Two bits, in order: -1, 0, 1, 2.
struct Q2_0 {
  static constexpr int kWeights = 64, kBytes = 18;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from);
    for (int byte = 0; byte < 16; ++byte)
      for (int k = 0; k < 4; ++k)
        to[4 * byte + k] = static_cast<float>(((from[2 + byte] >> (2 * k)) & 3) - 1) * d;
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    store(to, from.scale());
    for (int i = 0; i < 64; ++i) put_bits(to[2 + i / 4], i % 4 * 2, from.codes[i]);
  }
};

// Ternary, five weights a byte: the byte is 256/243 of a number of five digits in base 3, rounded
// up, the first weight's digit the greatest; multiplying by 3 brings the next one up.
struct Tq1_0 {
  static constexpr int kWeights = 256, kBytes = 54;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from + 52);
    to = decode_digits<32, 5>(from, d, to);
    to = decode_digits<16, 5>(from + 32, d, to);
    decode_digits<4, 4>(from + 48, d, to);
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    pack_digits<32, 5>(from.codes, to);
    pack_digits<16, 5>(from.codes + 160, to + 32);
    pack_digits<4, 4>(from.codes + 240, to + 48);
    store(to + 52, from.scale());
  }

 private:
  template <int kCount, int kDigits>
  static void pack_digits(const uint8_t* codes, uint8_t* to) {
    for (int l = 0; l < kCount; ++l) {
      unsigned number = 0;
      for (int digit = 0; digit < 5; ++digit)
        number = 3 * number + (digit < kDigits ? codes[l + kCount * digit] : 0U);
      to[l] = static_cast<uint8_t>((256 * number + 242) / 243);
    }
  }
  // Weight l + kCount * digit lies in byte l.
  template <int kCount, int kDigits>
  static float* decode_digits(const uint8_t* from, float d, float* to) {
    for (unsigned digit = 0, power = 1; digit < kDigits; ++digit, power *= 3)
      for (int l = 0; l < kCount; ++l) {
        const unsigned code = (from[l] * power) & 255;
        *to++ = static_cast<float>(static_cast<int>((code * 3) >> 8) - 1) * d;
      }
    return to;
  }
};

struct Tq2_0 {
  static constexpr int kWeights = 256, kBytes = 66;
  static void decode(const uint8_t* from, float* to) {
    const float d = float16_at(from + 64);
    for (int half = 0; half < 2; ++half, from += 32)
      for (int k = 0; k < 4; ++k)
        for (int l = 0; l < 32; ++l) *to++ = static_cast<float>(((from[l] >> (2 * k)) & 3) - 1) * d;
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    for (int i = 0; i < 256; ++i)
      put_bits(to[i / 128 * 32 + i % 32], i % 128 / 32 * 2, from.codes[i]);
    store(to + 64, from.scale());
  }
};

// The code of a level by its place among the ascending ones.
inline uint8_t e2m1_of(uint8_t ascending) {
  return static_cast<uint8_t>(ascending < 7 ? 15 - ascending : ascending - 7);
}

// Half of 2^(e - 127), for levels that are stored twice as large.
inline float half_of_e8m0(uint8_t e) {
  return float_of(e < 2 ? uint32_t{0x00200000} << e : static_cast<uint32_t>(e - 1) << 23);
}

struct Mxfp4 {
  static constexpr int kWeights = 32, kBytes = 17;
  static void decode(const uint8_t* from, float* to) {
    const float d = half_of_e8m0(from[0]);
    decode_halves<32>(from + 1, to, [=](int q) { return d * kE2m1Levels[static_cast<size_t>(q)]; });
  }
  static void pack(const GgufBlock& from, uint8_t* to) {
    to[0] = static_cast<uint8_t>((std::bit_cast<uint32_t>(float16_of(from.scale())) >> 23) + 1);
    uint8_t codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = e2m1_of(from.codes[i]);
    pack_halves(codes, to + 1);
  }
};

// Half of an unsigned float of four bits of exponent and three of mantissa; its NaN counts as 0.
inline float half_of_ue4m3(uint8_t x) {
  const int exponent = (x >> 3) & 15, mantissa = x & 7;
  if (x == 0x7f) return 0;
  const auto whole = static_cast<float>(exponent == 0 ? mantissa : mantissa + 8);
  return whole * float_of(static_cast<uint32_t>((exponent == 0 ? 1 : exponent) - 11 + 127) << 23);
}

// Of a number that has a code.
inline uint8_t ue4m3_of(float x) {
  if (x < 0x1p-6F) return static_cast<uint8_t>(x * 0x1p9F);
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint8_t>(((bits >> 20) & 0x7ff) - ((127 - 7) << 3));
}

struct Nvfp4 {
  static constexpr int kWeights = 64, kBytes = 36;
  static void decode(const uint8_t* from, float* to) {
    for (int part = 0; part < 4; ++part) {
      const float d = half_of_ue4m3(from[part]);
      decode_halves<16>(from + 4 + 8 * part, to + 16 * part,
                        [=](int q) { return d * kE2m1Levels[static_cast<size_t>(q)]; });
    }
  }
  // Scales of four groups, each that of the tensor (kNvfp4TensorScale) times what is stored.
  static void pack(const GgufBlock& from, uint8_t* to) {
    for (int part = 0; part < 4; ++part) {
      to[part] = ue4m3_of(float16_of(from.scales[part]) / static_cast<float>(kUe4m3Unit));
      for (int i = 0; i < 8; ++i)
        to[4 + 8 * part + i] = static_cast<uint8_t>(e2m1_of(from.codes[16 * part + i]) |
                                                    e2m1_of(from.codes[16 * part + i + 8]) << 4);
    }
  }
};

}  // namespace halftone::gguf
