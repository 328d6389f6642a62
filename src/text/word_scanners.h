// The fixed regular expressions of well-known byte-level tokenizers, written by hand: each function
// gives the end of the match that begins at `text[at]` (valid UTF-8, at < text.size()); every
// position begins a match. tests/text checks them against ICU running the expressions themselves.
#pragma once

#include <cstddef>
#include <string_view>

namespace halftone {

inline constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

size_t gpt2_word_end(std::string_view text, size_t at);
size_t llama3_word_end(std::string_view text, size_t at);
size_t qwen2_word_end(std::string_view text, size_t at);

}  // namespace halftone
