// The hand-written scanners against ICU running the expressions.
#include "text/word_scanners.h"

#include "base/random.h"
#include "base/utf8.h"
#include "text/characters.h"
#include "text/library_texts.h"
#include "text/pattern.h"

namespace halftone::testing {
namespace {

constexpr const char* kPatterns[] = {kGpt2Pattern, kLlama3Pattern, kQwen2Pattern};

std::vector<size_t> ends_of(const Pattern& pattern, std::string_view text) {
  std::vector<size_t> ends;
  size_t done = 0;
  for (const TextSpan span : pattern.find_all(text)) {
    EXPECT_EQ(span.begin, done) << "the pieces leave a gap";
    ends.push_back(done = span.end);
  }
  EXPECT_EQ(done, text.size());
  return ends;
}

void expect_same_words(const std::vector<std::string>& texts) {
  for (const char* expression : kPatterns) {
    const auto scanner = regex_pattern(expression), icu = icu_pattern(expression);
    for (const std::string& text : texts)
      ASSERT_EQ(ends_of(*scanner, text), ends_of(*icu, text)) << expression << "\n"
                                                              << Json(text).dump(-1, ' ', true);
  }
}

// Characters that the expressions treat specially, one in three; the others from all of Unicode.
std::string random_text(Random& random) {
  constexpr std::string_view kSpecial = "  \n\r\t'''stmdrevlSTMDREVL0159.,-!_";
  constexpr char32_t kWide[] = {0x17f, 0x85, 0xa0, 0x2028, 0x3000, 0x660, 0xbd, 0x301, 0x1f44d};
  constexpr char32_t kLargest[] = {0x80, 0x300, 0x3000, 0xd800, 0x20000};
  std::string text;
  for (uint64_t length = random.below(24); length > 0; --length) {
    switch (random.below(4)) {
      case 0:
        append_utf8(text, kWide[random.below(std::size(kWide))]);
        break;
      case 1:
        append_utf8(text, char32_t(random.below(kLargest[random.below(5)])));
        break;
      default:
        text += kSpecial[random.below(kSpecial.size())];
    }
    while (first_invalid_utf8(text) != text.size()) text.pop_back();  // no surrogates
  }
  return text;
}

TEST(WordScanners, CutRandomUnicodeTextWhereIcuDoes) {
  Random random(7);
  std::vector<std::string> texts;
  for (int i = 0; i < 30'000; ++i) texts.push_back(random_text(random));
  expect_same_words(texts);
}

TEST(WordScanners, CutEveryShortTextOfSpecialCharactersWhereIcuDoes) {
  const std::string alphabet = " \n's1a.L\t";
  std::vector<std::string> texts = {""}, longer = texts;
  for (int length = 1; length <= 4; ++length) {
    std::vector<std::string> next;
    for (const std::string& text : longer)
      for (const char c : alphabet) next.push_back(text + c);
    texts.insert(texts.end(), next.begin(), next.end());
    longer = std::move(next);
  }
  expect_same_words(texts);
}

TEST(GoldenWordScanners, CutEveryGoldenTextWhereIcuDoes) {
  HALFTONE_REQUIRE_SHARED("golden/tokenizers");
  std::vector<std::string> texts;
  for (const Json& row : read_json_lines(shared_data("golden/tokenizers/gpt2.jsonl")))
    texts.push_back(row["text"].get<std::string>());
  EXPECT_EQ(texts.size(), 426U);
  expect_same_words(texts);
}

// no scanner knows this one, and each space of \s* is a place to come back to
TEST(IcuPattern, TakesARunOfAMillionSpaces) {
  const auto pattern = icu_pattern(R"(\p{L}+|\s*[\r\n]+|\s+(?!\S)|\s+)");
  const std::string spaces(size_t{1} << 20, ' ');
  EXPECT_EQ(ends_of(*pattern, spaces), (std::vector<size_t>{spaces.size()}));
  EXPECT_EQ(ends_of(*pattern, spaces + "\na"),
            (std::vector<size_t>{spaces.size() + 1, spaces.size() + 2}));
}

TEST(Characters, ClassesOfAsciiAgreeWithUnicode) {
  for (char32_t c = 0; c < 128; ++c) {
    const bool letter = u_isalpha(UChar32(c)), number = u_isdigit(UChar32(c));
    const bool space = u_isUWhiteSpace(UChar32(c));
    EXPECT_EQ(class_of(c), letter   ? CharClass::kLetter
                           : number ? CharClass::kNumber
                           : space  ? CharClass::kSpace
                                    : CharClass::kOther);
  }
}

}  // namespace
}  // namespace halftone::testing
