// The types that a GGUF file stores tensors in (formats.md 12), and the way between
// them and float32.
//
// A row of a tensor is a sequence of blocks of one length: a scale or more, and codes. Each type is
// one row of a table. Plain numbers are blocks of one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace halftone {

// What a block holds, of any type whose codes are searched for.
struct GgufBlock {
  const uint8_t* codes;  // (block_length) from 0 up; of IQ2 and IQ3 types VectorRule's
  const int8_t *scale_codes, *offset_codes;  // (16 or 8) of its groups; null: the type has none
  // (1) or, of NVFP4, (4): float16 numbers, by their bits, whose product with a level (of E2M1
  // twice that) is the weight
  const uint16_t* scales;
  uint16_t offset;  // what is taken off (K-quants) or added (Q4_1, Q5_1); float16 likewise

  uint16_t scale() const { return *scales; }
};

struct GgufType {
  uint32_t id;  // as files name it
  std::string_view name;
  int64_t block_length;  // weights in a block; divides a row
  int64_t block_bytes;
  // from: `blocks` blocks, to: their weights. A scale that is not finite gives weights that are
  // not. Single-threaded.
  void (*decode)(int64_t blocks, const uint8_t* from, float* to);
  // The bytes that ggml writes, each weight rounded to nearest; finite weights. Null for types
  // whose codes are searched for, and for whole numbers.
  void (*encode)(int64_t blocks, const float* from, uint8_t* to);
  // The bytes of one block, all 0 before; null for plain numbers and for what is only read.
  void (*pack)(const GgufBlock& from, uint8_t* to);

  bool is_block() const { return block_length > 1; }
  double bits_per_weight() const {
    return 8.0 * static_cast<double>(block_bytes) / static_cast<double>(block_length);
  }
};

// By id.
std::span<const GgufType> gguf_types();

// nullptr if there is no such type, or none that a file may hold.
const GgufType* find_gguf_type(uint32_t id);
const GgufType* find_gguf_type(std::string_view name);

}  // namespace halftone
