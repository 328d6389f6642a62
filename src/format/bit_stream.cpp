#include "format/bit_stream.h"

#include <array>
#include <cassert>
#include <utility>

namespace halftone {
namespace {

template <int bits>
void pack_eight(const uint8_t* codes, uint8_t* stream) {
  uint64_t lanes = 0;
  for (int i = 0; i < 8; ++i) lanes |= uint64_t{codes[i]} << (i * bits);
  for (int i = 0; i < bits; ++i) stream[i] = static_cast<uint8_t>(lanes >> (8 * i));
}

template <int bits>
void unpack_eight(const uint8_t* stream, uint8_t* codes) {
  constexpr uint64_t kMask = (1u << bits) - 1;
  uint64_t lanes = 0;
  for (int i = 0; i < bits; ++i) lanes |= uint64_t{stream[i]} << (8 * i);
  for (int i = 0; i < 8; ++i) codes[i] = static_cast<uint8_t>(lanes >> (i * bits) & kMask);
}

template <int bits>
void pack(const uint8_t* codes, int64_t count, uint8_t* stream) {
  const int64_t whole = count / 8, rest = count % 8;
  for (int64_t i = 0; i < whole; ++i) pack_eight<bits>(codes + 8 * i, stream + bits * i);
  if (rest == 0) return;
  std::array<uint8_t, 8> last{}, bytes{};
  for (int64_t i = 0; i < rest; ++i) last[static_cast<size_t>(i)] = codes[8 * whole + i];
  pack_eight<bits>(last.data(), bytes.data());
  for (int64_t i = 0; i < stream_bytes(rest, bits); ++i)
    stream[bits * whole + i] = bytes[static_cast<size_t>(i)];
}

template <int bits>
void unpack(const uint8_t* stream, int64_t count, uint8_t* codes) {
  const int64_t whole = count / 8, rest = count % 8;
  for (int64_t i = 0; i < whole; ++i) unpack_eight<bits>(stream + bits * i, codes + 8 * i);
  if (rest == 0) return;
  std::array<uint8_t, 8> last{}, bytes{};
  for (int64_t i = 0; i < stream_bytes(rest, bits); ++i)
    bytes[static_cast<size_t>(i)] = stream[bits * whole + i];
  unpack_eight<bits>(bytes.data(), last.data());
  for (int64_t i = 0; i < rest; ++i) codes[8 * whole + i] = last[static_cast<size_t>(i)];
}

using Pack = void (*)(const uint8_t*, int64_t, uint8_t*);

template <int... offsets>
constexpr std::array<Pack, 8> packers(std::integer_sequence<int, offsets...>) {
  return {pack<offsets + kMinStreamBits>...};
}

template <int... offsets>
constexpr std::array<Pack, 8> unpackers(std::integer_sequence<int, offsets...>) {
  return {unpack<offsets + kMinStreamBits>...};
}

constexpr auto kPackers = packers(std::make_integer_sequence<int, 8>{});
constexpr auto kUnpackers = unpackers(std::make_integer_sequence<int, 8>{});

}  // namespace

void pack_stream(const uint8_t* codes, int64_t count, int bits, uint8_t* stream) {
  assert(bits >= kMinStreamBits && bits <= kMaxStreamBits && count >= 0);
  kPackers[static_cast<size_t>(bits - kMinStreamBits)](codes, count, stream);
}

void unpack_stream(const uint8_t* stream, int64_t count, int bits, uint8_t* codes) {
  assert(bits >= kMinStreamBits && bits <= kMaxStreamBits && count >= 0);
  kUnpackers[static_cast<size_t>(bits - kMinStreamBits)](stream, count, codes);
}

void pack_wide_stream(const uint32_t* values, int64_t count, int bits, uint8_t* stream) {
  assert(bits >= 0 && bits <= 32 && count >= 0);
  uint64_t waiting = 0;
  int held = 0;  // bits in `waiting`
  for (int64_t i = 0; i < count; ++i) {
    waiting |= uint64_t{values[i]} << held;
    for (held += bits; held >= 8; held -= 8, waiting >>= 8)
      *stream++ = static_cast<uint8_t>(waiting);
  }
  if (held > 0) *stream = static_cast<uint8_t>(waiting);
}

void unpack_wide_stream(const uint8_t* stream, int64_t count, int bits, uint32_t* values) {
  assert(bits >= 0 && bits <= 32 && count >= 0);
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  uint64_t waiting = 0;
  int held = 0;
  for (int64_t i = 0; i < count; ++i) {
    for (; held < bits; held += 8) waiting |= uint64_t{*stream++} << held;
    values[i] = static_cast<uint32_t>(waiting & mask);
    waiting >>= bits;
    held -= bits;
  }
}

}  // namespace halftone
