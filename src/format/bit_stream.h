// LE(b): codes laid end to end, least significant bit first (formats.md "One bit stream").
//
// Read as little-endian 32-bit words it is the layout of GPTQ (also its 96-bit trick at 3 bits), of
// compressed-tensors from 0.19 on and of MLX; read as bytes it is ours. Eight codes of b bits fill
// b bytes exactly, so that is the step.
#pragma once

#include <cstdint>

namespace halftone {

constexpr int kMinStreamBits = 1, kMaxStreamBits = 8;

// Bytes, or 32-bit words, that `count` codes fill. count >= 0, small enough for count * bits to
// fit.
constexpr int64_t stream_bytes(int64_t count, int bits) {
  return (count * bits + 7) / 8;
}
constexpr int64_t stream_words(int64_t count, int bits) {
  return (count * bits + 31) / 32;
}

// codes: `count` values below 2^bits -> stream_bytes(count, bits) bytes; spare bits of the last
// byte are 0.
void pack_stream(const uint8_t* codes, int64_t count, int bits, uint8_t* stream);

// Reads stream_bytes(count, bits) bytes, never more; spare bits are ignored.
void unpack_stream(const uint8_t* stream, int64_t count, int bits, uint8_t* codes);

// The same stream for values of up to 32 bits, one at a time. bits: 0 .. 32; with 0 bits there is
// nothing to read or write and every value is 0
void pack_wide_stream(const uint32_t* values, int64_t count, int bits, uint8_t* stream);
void unpack_wide_stream(const uint8_t* stream, int64_t count, int bits, uint32_t* values);

}  // namespace halftone
