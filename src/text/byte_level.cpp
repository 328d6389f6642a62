#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace halftone {
namespace {

constexpr char32_t kFirstSubstitute = 0x100;
constexpr size_t kAlphabetEnd = kFirstSubstitute + 68;

struct ByteTables {
  std::array<std::string, 256> spellings;
  std::array<int16_t, kAlphabetEnd> bytes;  // by code point; -1: stands for no byte
};

bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

ByteTables make_tables() {
  ByteTables tables;
  tables.bytes.fill(-1);
  char32_t substitute = kFirstSubstitute;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = stands_for_itself(byte) ? static_cast<char32_t>(byte) : substitute++;
    append_utf8(tables.spellings[static_cast<size_t>(byte)], c);
    tables.bytes[c] = static_cast<int16_t>(byte);
  }
  return tables;
}

const ByteTables& tables() {
  static const ByteTables made = make_tables();
  return made;
}

}  // namespace

const std::string& spelling_of(unsigned char byte) {
  return tables().spellings[byte];
}

std::string spell_bytes(std::string_view bytes) {
  std::string spelling;
  spelling.reserve(bytes.size() * 2);
  for (const char byte : bytes) spelling += spelling_of(static_cast<unsigned char>(byte));
  return spelling;
}

std::optional<std::string> bytes_of_spelling(std::string_view spelling) {
  std::string bytes;
  for (size_t at = 0; at < spelling.size();) {
    const size_t length = utf8_length_at(spelling, at);
    const char32_t c = length == 0 ? kAlphabetEnd : decode_utf8_at(spelling, at);
    if (c >= kAlphabetEnd || tables().bytes[c] < 0) return std::nullopt;
    bytes += static_cast<char>(tables().bytes[c]);
    at += length;
  }
  return bytes;
}

}  // namespace halftone
