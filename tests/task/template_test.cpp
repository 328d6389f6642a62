#include "task/template.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using Json = nlohmann::json;

const Json kItem = Json::parse(R"({
  "goal": "boil water", "n": 7, "empty": "", "ratio": 0.5, "none": null,
  "endings": ["a", "b  b"], "choices": {"text": ["x", "y"], "label": ["A", "B"]},
  "question": {"stem": "why?", "choices": [{"text": "p", "label": "1"}, {"text": "q", "label": "2"}]}
})");

std::string filled(const std::string& text) {
  return Template(text, "t.toml line 3").fill(kItem);
}

std::vector<std::string> filled_each(const std::string& text) {
  return Template(text, "t.toml line 3").fill_each(kItem);
}

TEST(Template, PutsFieldsIntoText) {
  EXPECT_EQ(filled("Question: {goal}\nAnswer:"), "Question: boil water\nAnswer:");
  EXPECT_EQ(filled("{question.stem}{n}{ empty }"), "why?7");
  EXPECT_EQ(filled("{{{goal}}} {{goal}}"), "{boil water} {goal}");
  EXPECT_EQ(filled("{goal | after boil | strip | capitalize}"), "Water");
  EXPECT_EQ(filled(""), "");
}

TEST(Template, MakesATextOfEveryElementOfAList) {
  EXPECT_EQ(filled_each("{endings | hellaswag}."), (std::vector<std::string>{"a.", "b b."}));
  EXPECT_EQ(filled_each("{goal}: {choices.text}"),
            (std::vector<std::string>{"boil water: x", "boil water: y"}));
  EXPECT_EQ(filled_each("{question.choices[].label}"), (std::vector<std::string>{"1", "2"}));
}

TEST(Template, RefusesWhatIsNoTemplate) {
  const auto refusal = [](const std::string& text) {
    return message_of([&] { Template(text, "t"); });
  };
  for (const char* text : {"{goal", "goal}", "{", "a } b", "{a} }"})
    EXPECT_NE(refusal(text).find("expected braces around each field"), std::string::npos) << text;
  for (const char* text : {"{}", "{ | strip}", "{two words}", "{\"goal\"}"})
    EXPECT_NE(refusal(text).find("expected the name of a field"), std::string::npos) << text;
  EXPECT_EQ(refusal("{goal | capitalise}"),
            "unknown filter \"capitalise\" (did you mean capitalize?); known filters: strip, "
            "lstrip, capitalize, before, after, last_word, without_last_word, hellaswag");
  EXPECT_NE(refusal("{goal | before}").find("expected a text to look for"), std::string::npos);
  EXPECT_NE(refusal("{goal | strip x}").find("expected nothing behind the name"),
            std::string::npos);
  for (const char* text : {"{goal | }", "{goal|}", "{goal||strip}"})
    EXPECT_NE(refusal(text).find("unknown filter \"\""), std::string::npos) << text;
}

TEST(Template, SaysWhichFieldIsMissingAndWhereItIsAskedFor) {
  EXPECT_EQ(message_of([] { filled("{gaol}"); }),
            "t.toml line 3: no field \"gaol\" (did you mean goal?); found choices, empty, endings, "
            "goal, n, none, question, ratio");
  EXPECT_NE(message_of([] { filled("{none}"); }).find("no field \"none\""), std::string::npos);
  EXPECT_NE(message_of([] { filled("{question.stam}"); }).find("no field \"stam\""),
            std::string::npos);
  EXPECT_NE(message_of([] { filled("{goal.x}"); }).find("expected an object"), std::string::npos);
  EXPECT_NE(message_of([] { filled("{ratio}"); }).find("expected a text, a whole number"),
            std::string::npos);
  EXPECT_NE(message_of([] { filled("{choices}"); }).find("found object"), std::string::npos);
  EXPECT_NE(message_of([] { filled("{goal | before !}"); }).find("expected \"!\" in"),
            std::string::npos);
  EXPECT_NE(message_of([] { filled("{endings}"); }).find("expected one text, found a list"),
            std::string::npos);
  EXPECT_NE(message_of([] { filled_each("{goal}"); }).find("a list of choices, found none"),
            std::string::npos);
  EXPECT_NE(message_of([] { filled_each("{endings}{choices.text}"); }).find("found a list"),
            std::string::npos);
  EXPECT_NE(message_of([] { filled_each("{goal[]}"); }).find("expected a list"), std::string::npos);
}

}  // namespace
}  // namespace halftone
