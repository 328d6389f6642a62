#include "task/answers.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::shared_data;

const AnswerRules& gsm8k() {
  static const Task task = find_task("gsm8k");
  return *task.answers;
}

TEST(Answers, OfGsm8kAreFoundBehindItsMarkOrLast) {
  const AnswerExtraction &strict = gsm8k().extractions[0], &flexible = gsm8k().extractions[1];
  EXPECT_EQ(strict.name, "strict_match");
  EXPECT_EQ(extracted(strict, " 5 + 6 = 11\n#### 11\n#### 12"), "11");
  EXPECT_EQ(extracted(strict, "#### -1,200.5."), "-1,200.5.");
  EXPECT_EQ(extracted(strict, "####11 or 11"), kNoAnswer);
  EXPECT_EQ(extracted(flexible, "so $18.00 total."), "$18.00");
  EXPECT_EQ(extracted(flexible, "it is 5. Then..."), "...");
  EXPECT_EQ(extracted(flexible, "12 and -7 apples"), "-7");
  EXPECT_EQ(extracted(flexible, "none"), kNoAnswer);
}

TEST(Answers, OfGsm8kAreComparedBehindTheMark) {
  EXPECT_TRUE(same_answer(gsm8k(), "1,800", "one\ntwo #### 3\n#### 1800"));
  EXPECT_TRUE(same_answer(gsm8k(), "$18.", "#### 18"));
  EXPECT_FALSE(same_answer(gsm8k(), "18.00", "#### 18"));
  EXPECT_FALSE(same_answer(gsm8k(), kNoAnswer, "#### 18"));
}

TEST(Answers, AreComparedInSmallLetters) {
  EXPECT_TRUE(same_answer({}, "\u00c9T\u00c9", "\u00e9t\u00e9"));
  EXPECT_FALSE(same_answer({}, "a", "b"));
}

TEST(GoldenAnswers, AreThoseOfTheHarness) {
  HALFTONE_REQUIRE_SHARED("golden/eval");
  std::ifstream file(shared_data("golden/eval/gsm8k_extraction.jsonl"));
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const auto row = nlohmann::json::parse(line);
    const auto text = row.at("generation").get<std::string>(),
               gold = row.at("gold").get<std::string>();
    for (size_t i = 0; i < 2; ++i) {
      const auto& expected = row.at(i == 0 ? "strict-match" : "flexible-extract");
      const std::string found = extracted(gsm8k().extractions[i], text);
      EXPECT_EQ(found, expected.at("extracted")) << text;
      EXPECT_EQ(same_answer(gsm8k(), found, gold), expected.at("exact_match") == 1.0) << text;
    }
  }
  EXPECT_GE(rows, 10);
}

constexpr const char* kTask = R"(kind = "generation"
stops = ["\n"]
max_tokens = 8
ignore = [","]
shots = 2
[[extract]]
name = "first_word"
find = '\w+'
[[data]]
file = "a.jsonl"
[[item]]
context = "Q: {q}"
answer = "{a}"
)";

std::string refusal(const std::string& from, const std::string& to) {
  std::string toml = kTask;
  toml.replace(toml.find(from), from.size(), to);
  return message_of([&] { parse_task(toml, "mine"); });
}

TEST(GeneratedTask, IsReadFromToml) {
  const Task task = parse_task(kTask, "mine");
  ASSERT_TRUE(task.answers);
  EXPECT_EQ(task.answers->max_tokens, 8);
  EXPECT_EQ(task.answers->stops, std::vector<std::string>{"\n"});
  EXPECT_EQ(task.shots, 2);
  EXPECT_FALSE(task.answers->extractions[0].takes_last);
  EXPECT_EQ(extracted(task.answers->extractions[0], "- yes no"), "yes");
  EXPECT_EQ(task.items[0].fields(), (std::vector<std::string>{"a", "q", "a"}));
}

TEST(GeneratedTask, ErrorsNameTheLine) {
  EXPECT_EQ(refusal("max_tokens = 8", "max_tokens = 0"),
            "line 3: max_tokens: expected a whole number from 1 to 1000000");
  EXPECT_EQ(refusal("shots = 2", "shots = -1"),
            "line 5: shots: expected a whole number from 0 to 1000000");
  EXPECT_EQ(refusal("[\"\\n\"]", "[\"\"]"), "line 2: stops: expected texts, found an empty one");
  EXPECT_NE(refusal("\\w+", "(\\w+").find("line 8: find: "), std::string::npos);
  EXPECT_NE(refusal("[\",\"]", "['[']").find("line 4: ignore: "), std::string::npos);
  EXPECT_EQ(refusal("first_word", "items"),
            "line 7: name: expected small letters, digits and _, and none of items, metric, "
            "reference, flips, shots, found \"items\"");
  EXPECT_EQ(refusal("find = ", "take = \"best\"\nfind = "),
            "line 8: take: expected \"first\" or \"last\", found \"best\"");
  EXPECT_NE(refusal("[[data]]", "[[extract]]\nname = \"first_word\"\nfind = 'a'\n[[data]]")
                .find("name: expected each once, found first_word twice"),
            std::string::npos);
  EXPECT_NE(refusal("stops", "metrics = [\"acc\"]\nstops").find("line 2: unknown key metrics"),
            std::string::npos);
  EXPECT_NE(refusal("answer = ", "gold = ").find("line 13: unknown key gold"), std::string::npos);
}

}  // namespace
}  // namespace halftone
