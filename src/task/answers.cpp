#include "task/answers.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include "text/white_space.h"

namespace halftone {
namespace {

std::string compared(const AnswerRules& rules, std::string text) {
  for (const auto& pattern : rules.ignored) text = replace_all(*pattern, "", text);
  std::string small;
  icu::UnicodeString::fromUTF8(text).toLower(icu::Locale::getRoot()).toUTF8String(small);
  return small;
}

}  // namespace

std::string extracted(const AnswerExtraction& extraction, const std::string& text) {
  const std::vector<TextSpan> found = extraction.pattern->find_all(text);
  if (found.empty()) return kNoAnswer;
  const TextSpan span = extraction.takes_last ? found.back() : found.front();
  return std::string(stripped(std::string_view(text).substr(span.begin, span.end - span.begin)));
}

bool same_answer(const AnswerRules& rules, const std::string& found, const std::string& right) {
  return compared(rules, found) == compared(rules, right);
}

}  // namespace halftone
