// UTF-8 validity (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace halftone {

// Bytes of the character that starts at `text[at]`, 0 if no valid character starts there.
size_t utf8_length_at(std::string_view text, size_t at);

// Offset of the first byte that is not valid UTF-8, text.size() if all is well.
size_t first_invalid_utf8(std::string_view text);

// The code point of the valid character at `text[at]`.
char32_t decode_utf8_at(std::string_view text, size_t at);

// Appends a code point's UTF-8 form.
void append_utf8(std::string& text, char32_t code_point);

}  // namespace halftone
