#include "text/word_scanners.h"

#include "text/characters.h"

namespace halftone {
namespace {

bool is_class_at(std::string_view text, size_t at, CharClass kind) {
  return at < text.size() && character_at(text, at).kind == kind;
}

bool is_newline_at(std::string_view text, size_t at) {
  return at < text.size() && (text[at] == '\r' || text[at] == '\n');
}

// End of the characters of one class from `at` on, at most `limit` of them.
size_t run_end(std::string_view text, size_t at, CharClass kind, size_t limit = SIZE_MAX) {
  for (size_t count = 0; at < text.size() && count < limit; ++count) {
    const Character character = character_at(text, at);
    if (character.kind != kind) break;
    at += character.bytes;
  }
  return at;
}

size_t newlines_end(std::string_view text, size_t at) {
  while (is_newline_at(text, at)) ++at;
  return at;
}

// \s+(?!\S)|\s+ : the white space up to the end of the text; before a word, all but its last
// character.
size_t spaces_end(std::string_view text, size_t at) {
  const size_t end = run_end(text, at, CharClass::kSpace);
  if (end == text.size()) return end;
  const size_t last = previous_character(text, end);
  return last > at ? last : end;
}

char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// 's|'t|'re|'ve|'m|'ll|'d : bytes of the match at `at`, 0 for none.
size_t contraction_bytes(std::string_view text, size_t at, bool any_case) {
  if (text[at] != '\'' || at + 1 >= text.size()) return 0;
  const auto letter = [&](size_t i) {
    if (at + i >= text.size()) return '\0';
    return any_case ? lower_case(text[at + i]) : text[at + i];
  };
  const char first = letter(1), second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  // U+017F, the long s, is an s in any case
  return any_case && text.substr(at + 1, 2) == "\u017f" ? 3 : 0;
}

// \s*[\r\n]+|\s+(?!\S)|\s+
size_t newline_or_spaces_end(std::string_view text, size_t at) {
  size_t after_newline = at;
  for (size_t i = at; is_class_at(text, i, CharClass::kSpace); i += character_at(text, i).bytes)
    if (is_newline_at(text, i)) after_newline = i + 1;
  return after_newline > at ? after_newline : spaces_end(text, at);
}

// The expression that Llama-3 and Qwen2 share; \p{N} takes up to `digits` characters.
size_t tiktoken_word_end(std::string_view text, size_t at, size_t digits) {
  if (const size_t bytes = contraction_bytes(text, at, true)) return at + bytes;
  const Character first = character_at(text, at);
  if (first.kind == CharClass::kLetter) return run_end(text, at, CharClass::kLetter);
  if (first.kind == CharClass::kNumber) return run_end(text, at, CharClass::kNumber, digits);
  const size_t next = at + first.bytes;
  if (!is_newline_at(text, at) && is_class_at(text, next, CharClass::kLetter))
    return run_end(text, next, CharClass::kLetter);
  const bool space_then_other = text[at] == ' ' && is_class_at(text, next, CharClass::kOther);
  if (first.kind == CharClass::kOther || space_then_other)
    return newlines_end(text, run_end(text, next, CharClass::kOther));
  return newline_or_spaces_end(text, at);
}

}  // namespace

size_t gpt2_word_end(std::string_view text, size_t at) {
  if (const size_t bytes = contraction_bytes(text, at, false)) return at + bytes;
  const size_t start = text[at] == ' ' && at + 1 < text.size() ? at + 1 : at;
  const CharClass kind = character_at(text, start).kind;
  return kind == CharClass::kSpace ? spaces_end(text, at) : run_end(text, start, kind);
}

size_t llama3_word_end(std::string_view text, size_t at) {
  return tiktoken_word_end(text, at, 3);
}

size_t qwen2_word_end(std::string_view text, size_t at) {
  return tiktoken_word_end(text, at, 1);
}

}  // namespace halftone
