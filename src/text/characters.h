// Classes of characters as the tokenizers' regular expressions see them: \p{L}, \p{N}, \s and the
// rest.
#pragma once

#include <unicode/uchar.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "base/utf8.h"

namespace halftone {

enum class CharClass : uint8_t { kLetter, kNumber, kSpace, kOther };

struct Character {
  CharClass kind;
  uint8_t bytes;
};

namespace detail {

constexpr std::array<CharClass, 128> ascii_classes() {
  std::array<CharClass, 128> classes{};
  for (size_t c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    classes[c] = letter                 ? CharClass::kLetter
                 : c >= '0' && c <= '9' ? CharClass::kNumber
                 : space                ? CharClass::kSpace
                                        : CharClass::kOther;
  }
  return classes;
}

inline constexpr std::array<CharClass, 128> kAsciiClasses = ascii_classes();

}  // namespace detail

inline CharClass class_of(char32_t code_point) {
  if (code_point < 128) return detail::kAsciiClasses[code_point];
  const auto c = static_cast<UChar32>(code_point);
  const uint32_t category = U_MASK(u_charType(c));
  if (category & U_GC_L_MASK) return CharClass::kLetter;
  if (category & U_GC_N_MASK) return CharClass::kNumber;
  return u_isUWhiteSpace(c) ? CharClass::kSpace : CharClass::kOther;
}

// The character at `text[at]` of valid UTF-8, at < text.size().
inline Character character_at(std::string_view text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 128) return {detail::kAsciiClasses[byte], 1};
  const uint8_t bytes = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  return {class_of(decode_utf8_at(text, at)), bytes};
}

// Where the character that ends before `text[end]` begins, end > 0.
inline size_t previous_character(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

}  // namespace halftone
