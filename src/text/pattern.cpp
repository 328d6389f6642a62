#include "text/pattern.h"

#include <unicode/regex.h>
#include <unicode/utext.h>

#include "base/error.h"
#include "base/utf8.h"
#include "text/oniguruma.h"
#include "text/word_scanners.h"

namespace halftone {
namespace {

// Roughly milliseconds for one match; an expression of a real tokenizer stays far below.
constexpr int32_t kMatchTimeLimit = 10'000;
// Bytes to come back to; a run of spaces takes some 30 a character.
constexpr int32_t kMatchStackLimit = 1 << 28;

class LiteralPattern final : public Pattern {
 public:
  explicit LiteralPattern(std::string literal) : literal_(std::move(literal)) {
    require(!literal_.empty(), "an empty string cannot be searched for");
  }
  std::vector<TextSpan> find_all(std::string_view text) const override {
    std::vector<TextSpan> matches;
    for (size_t at = 0; (at = text.find(literal_, at)) != text.npos; at += literal_.size())
      matches.push_back({at, at + literal_.size()});
    return matches;
  }

 private:
  std::string literal_;
};

using WordEnd = size_t (*)(std::string_view text, size_t at);

class ScannerPattern final : public Pattern {
 public:
  explicit ScannerPattern(WordEnd word_end) : word_end_(word_end) {}
  std::vector<TextSpan> find_all(std::string_view text) const override {
    std::vector<TextSpan> matches;
    matches.reserve(text.size() / 4);
    for (size_t at = 0, end = 0; at < text.size(); at = end) {
      end = word_end_(text, at);
      matches.push_back({at, end});
    }
    return matches;
  }

 private:
  WordEnd word_end_;
};

class Utf8Text {
 public:
  explicit Utf8Text(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    utext_openUTF8(&text_, text.data() == nullptr ? "" : text.data(),
                   static_cast<int64_t>(text.size()), &status);
    require(U_SUCCESS(status), "ICU cannot open the text: {}", u_errorName(status));
  }
  ~Utf8Text() { utext_close(&text_); }
  Utf8Text(const Utf8Text&) = delete;
  Utf8Text& operator=(const Utf8Text&) = delete;
  UText* get() { return &text_; }

 private:
  UText text_ = UTEXT_INITIALIZER;
};

class IcuPattern final : public Pattern {
 public:
  explicit IcuPattern(const std::string& expression) : expression_(expression) {
    UErrorCode status = U_ZERO_ERROR;
    UParseError place{};
    const auto wide = icu::UnicodeString::fromUTF8(icu_expression(expression_));
    pattern_.reset(icu::RegexPattern::compile(wide, 0, place, status));
    require(U_SUCCESS(status), "not a valid regular expression: {} ({})", printable(expression_),
            u_errorName(status));
  }

  std::vector<TextSpan> find_all(std::string_view text) const override {
    UErrorCode status = U_ZERO_ERROR;
    Utf8Text opened(text);
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(status));
    if (U_SUCCESS(status)) matcher->setTimeLimit(kMatchTimeLimit, status);
    if (U_SUCCESS(status)) matcher->setStackLimit(kMatchStackLimit, status);
    if (U_SUCCESS(status)) matcher->reset(opened.get());
    std::vector<TextSpan> matches;
    while (U_SUCCESS(status) && matcher->find(status)) {
      const TextSpan match{static_cast<size_t>(matcher->start64(status)),
                           static_cast<size_t>(matcher->end64(status))};
      const bool is_empty = match.begin == match.end;
      const bool adjoins = !matches.empty() && matches.back().end == match.begin;
      if (!is_empty || !adjoins) matches.push_back(match);
    }
    require(U_SUCCESS(status), "the regular expression {} fails on a text of {} bytes: {}",
            printable(expression_), text.size(), u_errorName(status));
    return matches;
  }

 private:
  std::string expression_;
  std::unique_ptr<const icu::RegexPattern> pattern_;
};

}  // namespace

std::unique_ptr<const Pattern> literal_pattern(std::string literal) {
  return std::make_unique<LiteralPattern>(std::move(literal));
}

std::unique_ptr<const Pattern> icu_pattern(const std::string& expression) {
  return std::make_unique<IcuPattern>(expression);
}

std::unique_ptr<const Pattern> regex_pattern(const std::string& expression) {
  if (expression == kGpt2Pattern) return std::make_unique<ScannerPattern>(gpt2_word_end);
  if (expression == kLlama3Pattern) return std::make_unique<ScannerPattern>(llama3_word_end);
  if (expression == kQwen2Pattern) return std::make_unique<ScannerPattern>(qwen2_word_end);
  return icu_pattern(expression);
}

std::string replace_all(const Pattern& pattern, std::string_view content, std::string_view text) {
  std::string replaced;
  replaced.reserve(text.size());
  size_t done = 0;
  for (const TextSpan match : pattern.find_all(text)) {
    replaced.append(text.substr(done, match.begin - done)).append(content);
    done = match.end;
  }
  return replaced.append(text.substr(done));
}

std::unique_ptr<const Pattern> parse_pattern(const Json& description) {
  return with_context("pattern", [&] {
    if (const auto literal = optional_string_field(description, "String"))
      return literal_pattern(*literal);
    return regex_pattern(string_field(description, "Regex"));
  });
}

}  // namespace halftone
