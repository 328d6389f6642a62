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

}  // namespace halftone
