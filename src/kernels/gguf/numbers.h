// Little-endian numbers inside blocks, and blocks of one plain number.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace halftone::gguf {

template <class T>
inline T number_at(const uint8_t* from) {
  static_assert(std::endian::native == std::endian::little, "blocks are read in place");
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline float float_of(uint32_t bits) {
  return std::bit_cast<float>(bits);
}

// Exact, without a branch: the exponent's bias moves by a product, which subnormals follow.
inline float float16_of(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t rest = static_cast<uint32_t>(half & 0x7fff) << 13;
  const float magnitude = float_of(rest) * 0x1p112F;
  const uint32_t finite = std::bit_cast<uint32_t>(magnitude);
  return float_of(sign | (rest < 0x0f800000 ? finite : rest | 0x7f800000));
}

inline float float16_at(const uint8_t* from) {
  return float16_of(number_at<uint16_t>(from));
}

// To nearest, half to even; beyond the greatest number infinity.
inline uint16_t nearest_float16_bits(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffff, sign = (bits >> 16) & 0x8000;
  uint32_t half = 0;
  if (magnitude > 0x7f800000)
    half = 0x7e00;  // NaN
  else if (magnitude >= 0x477ff000)
    half = 0x7c00;
  else if (magnitude < 0x38800000)  // subnormal: 1/2 has the step of float16's least numbers
    half = std::bit_cast<uint32_t>(float_of(magnitude) + 0.5F) - 0x3f000000;
  else
    half = (magnitude - (112U << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  return static_cast<uint16_t>(sign | half);
}

template <class T>
inline void store(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

// Into a byte whose bits there are still 0.
inline void put_bits(uint8_t& byte, int shift, int bits) {
  byte = static_cast<uint8_t>(byte | bits << shift);
}

struct F16 {
  static constexpr int kWeights = 1, kBytes = 2;
  static void decode(const uint8_t* from, float* to) { *to = float16_at(from); }
  static void encode(const float* from, uint8_t* to) { store(to, nearest_float16_bits(*from)); }
};

struct Bf16 {
  static constexpr int kWeights = 1, kBytes = 2;
  static void decode(const uint8_t* from, float* to) {
    *to = float_of(static_cast<uint32_t>(number_at<uint16_t>(from)) << 16);
  }
  // To nearest, half to even; a NaN stays one.
  static void encode(const float* from, uint8_t* to) {
    const auto bits = std::bit_cast<uint32_t>(*from);
    const bool nan = (bits & 0x7fffffff) > 0x7f800000;
    const uint32_t rounded = nan ? bits | 0x400000 : bits + 0x7fff + ((bits >> 16) & 1);
    store(to, static_cast<uint16_t>(rounded >> 16));
  }
};

struct F32 {
  static constexpr int kWeights = 1, kBytes = 4;
  static void decode(const uint8_t* from, float* to) { *to = number_at<float>(from); }
  static void encode(const float* from, uint8_t* to) { store(to, *from); }
};

template <class T>
struct Plain {
  static constexpr int kWeights = 1, kBytes = static_cast<int>(sizeof(T));
  static void decode(const uint8_t* from, float* to) {
    *to = static_cast<float>(number_at<T>(from));
  }
};

}  // namespace halftone::gguf
