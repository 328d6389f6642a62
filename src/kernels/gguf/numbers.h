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

struct F16 {
  static constexpr int kWeights = 1, kBytes = 2;
  static void decode(const uint8_t* from, float* to) { *to = float16_at(from); }
};

struct Bf16 {
  static constexpr int kWeights = 1, kBytes = 2;
  static void decode(const uint8_t* from, float* to) {
    *to = float_of(static_cast<uint32_t>(number_at<uint16_t>(from)) << 16);
  }
};

template <class T>
struct Plain {
  static constexpr int kWeights = 1, kBytes = static_cast<int>(sizeof(T));
  static void decode(const uint8_t* from, float* to) {
    *to = static_cast<float>(number_at<T>(from));
  }
};

}  // namespace halftone::gguf
