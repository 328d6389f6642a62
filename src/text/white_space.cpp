#include "text/white_space.h"

#include "base/utf8.h"
#include "text/characters.h"

namespace halftone {
namespace {

// str.isspace(): Unicode's White_Space, and the separators of ASCII.
bool is_space(char32_t c) {
  return (c >= 0x1c && c <= 0x1f) || u_isUWhiteSpace(static_cast<UChar32>(c));
}

}  // namespace

std::string_view without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const size_t last = previous_character(text, text.size());
    if (!is_space(decode_utf8_at(text, last))) break;
    text = text.substr(0, last);
  }
  return text;
}

std::string_view stripped(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && is_space(decode_utf8_at(text, at))) at += utf8_length_at(text, at);
  return without_trailing_space(text.substr(at));
}

}  // namespace halftone
