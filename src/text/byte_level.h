// GPT-2's spelling of bytes as characters: 188 printable bytes stand for themselves, the other 68
// for U+0100 onwards, so that every byte string is text without spaces or control characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace halftone {

// The character that stands for a byte.
const std::string& spelling_of(unsigned char byte);

// Every byte spelled.
std::string spell_bytes(std::string_view bytes);

// The bytes that `spelling` stands for; nothing if it holds a character that stands for no byte.
// Valid UTF-8 only.
std::optional<std::string> bytes_of_spelling(std::string_view spelling);

}  // namespace halftone
