// What a tokenizer searches text for: a literal string, or a regular expression (ICU, behind
// oniguruma.h; the best-known expressions have hand-written scanners).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_fields.h"

namespace halftone {

struct TextSpan {
  size_t begin, end;
};

class Pattern {
 public:
  virtual ~Pattern() = default;
  // The matches in valid UTF-8, in order, without overlap; an empty one (of a lookaround) lies
  // nowhere at the end of another. Error: the expression needs too many steps on this text.
  virtual std::vector<TextSpan> find_all(std::string_view text) const = 0;
};

std::unique_ptr<const Pattern> literal_pattern(std::string literal);

// Error: not a valid expression, or one that means something else to ICU.
std::unique_ptr<const Pattern> regex_pattern(const std::string& expression);

// The same by ICU alone, also for expressions that have a scanner.
std::unique_ptr<const Pattern> icu_pattern(const std::string& expression);

// `text` with every match replaced by `content` as it is.
std::string replace_all(const Pattern& pattern, std::string_view content, std::string_view text);

// {"String": "..."} or {"Regex": "..."}.
std::unique_ptr<const Pattern> parse_pattern(const Json& description);

}  // namespace halftone
