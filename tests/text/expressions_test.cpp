// Regular expressions against the tokenizers library, which reads them by Oniguruma, where ICU
// would read them otherwise.
#include <unicode/uchar.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/library_texts.h"
#include "text/oniguruma.h"
#include "text/pattern.h"
#include "text/pre_tokenizer.h"

namespace halftone::testing {
namespace {

std::vector<size_t> lengths_by(const std::string& expression, const std::string& text) {
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}};
  Pieces pieces;
  PreTokenizers(&split).split(text, true, pieces);
  std::vector<size_t> lengths;
  for (const auto piece : pieces.views) lengths.push_back(piece.size());
  return lengths;
}

bool is_refused(const std::string& expression) {
  try {
    lengths_by(expression, "a");
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return true;
  }
  return false;
}

TEST(LibraryExpressions, CutWhereTheLibraryCutsOrAreRefused) {
  const auto rows = read_json_lines(test_data("tokenizers/library_expressions.jsonl"));
  EXPECT_GT(rows.size(), 150U);
  for (const Json& row : rows) {
    const auto expression = row["expression"].get<std::string>();
    SCOPED_TRACE(expression);
    for (const Json& one : row["rows"]) {
      if (one[1].is_null() || row.contains("refused")) {
        EXPECT_TRUE(is_refused(expression));
        continue;
      }
      const auto text = one[0].get<std::string>();
      ASSERT_FALSE(is_refused(expression));
      EXPECT_EQ(lengths_by(expression, text), one[1].get<std::vector<size_t>>())
          << one[0].dump(-1, ' ', true);
    }
  }
}

// Between the two versions of Unicode these have changed their class.
bool has_changed(char32_t c) {
  return c == 0x295 || (c >= 0x363 && c <= 0x36f) || (c >= 0x1dd3 && c <= 0x1de6);
}

TEST(LibraryExpressions, ClassesHoldTheLibrarysCharacters) {
  const Json classes = Json::parse(read_file(test_data("tokenizers/library_classes.json")));
  EXPECT_GT(classes.size(), 30U);
  constexpr int kOldest = 10;  // version of Unicode that both know
  std::string text;
  for (char32_t c = 1; c < 0x3000; ++c) append_utf8(text, c);
  for (const auto& [expression, ranges] : classes.items()) {
    std::set<char32_t> expected, found;
    for (const Json& range : ranges)
      for (auto c = range[0].get<char32_t>(); c <= range[1].get<char32_t>(); ++c)
        expected.insert(c);
    for (const TextSpan span : regex_pattern(expression)->find_all(text))
      found.insert(decode_utf8_at(text, span.begin));
    for (char32_t c = 1; c < 0x3000; ++c) {
      UVersionInfo age;
      u_charAge(static_cast<UChar32>(c), age);
      if (age[0] > 0 && age[0] <= kOldest && !has_changed(c)) {
        EXPECT_EQ(found.contains(c), expected.contains(c)) << expression << " " << uint32_t(c);
      }
    }
  }
}

TEST(IcuExpression, SaysWhatItHasNoWordsFor) {
  const auto refusal = [](const char* expression) {
    return message_of([&] { icu_expression(expression); });
  };
  EXPECT_EQ(refusal("ab(?x) c"),
            "\"(?x)\" at byte 2 of the regular expression ab(?x) c is not supported");
  EXPECT_NE(refusal("[\\w-z]").find("\"-z\" at byte 3"), std::string::npos);
  EXPECT_NE(refusal("\\X").find("\"\\X\" at byte 0"), std::string::npos);
  EXPECT_NE(refusal("a(?i)b|c").find("\"(?i)\""), std::string::npos);
}

TEST(IcuExpression, LeavesWhatBothReadAlikeAsItIs) {
  for (const char* same : {"(?i:'s|'t)|a+?|b*+|c{2,3}(?=d)(?<!e)", "(?<name>a)\\k<name>|(b)\\2"})
    EXPECT_EQ(icu_expression(same), same);
}

// Broken in every way: an Error or a pattern, nothing else.
TEST(IcuExpression, TruncatedExpressionsNeverCrash) {
  for (const Json& row : read_json_lines(test_data("tokenizers/library_expressions.jsonl"))) {
    const auto whole = row["expression"].get<std::string>();
    for (size_t length = 0; length < std::min<size_t>(whole.size(), 80); ++length) try {
        regex_pattern(whole.substr(0, length))->find_all("a b");
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      }
  }
  EXPECT_TRUE(is_refused(std::string(100'000, '[')));
}

}  // namespace
}  // namespace halftone::testing
