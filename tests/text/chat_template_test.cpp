// Chat templates against what Jinja itself writes (tests/crosscheck/chat_cases.py), and what is
// refused.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "support/fixtures.h"
#include "text/json_fields.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

std::vector<ChatTurn> turns_of(const Json& turns) {
  std::vector<ChatTurn> all;
  for (const Json& turn : turns)
    all.push_back({turn[0].get<std::string>(), turn[1].get<std::string>()});
  return all;
}

std::string rendered(const std::string& text,
                     const std::vector<ChatTurn>& turns = {{"user", "Hi"}}) {
  return ChatTemplate(text, "<s>", "</s>").render(turns);
}

TEST(ChatTemplates, WriteWhatJinjaWrites) {
  const Json all =
      parse_json(read_file(fs::path(HALFTONE_TEST_DATA) / "chat_templates" / "cases.json"));
  size_t compared = 0;
  for (const Json& one : all["cases"]) {
    const ChatTemplate chat(one["template"].get<std::string>(), "<s>", "</s>");
    for (size_t i = 0; i < all["turns"].size(); ++i, ++compared) {
      const auto turns = turns_of(all["turns"][i]);
      const Json& expected = one["written"][i];
      if (expected.is_null())
        EXPECT_THROW(chat.render(turns), Error) << one["name"] << " " << i;
      else
        EXPECT_EQ(chat.render(turns), expected.get<std::string>()) << one["name"] << " " << i;
    }
  }
  EXPECT_GE(compared, 24U);
}

TEST(ChatTemplates, OfWholeConversationsBeginNoFurtherTurn) {
  const ChatTemplate chat(
      "{% for m in messages %}{{ m.role }}:{{ m.content }} {% endfor %}"
      "{% if add_generation_prompt %}assistant:{% endif %}");
  const std::vector<ChatTurn> turns = {{"user", "Hi"}, {"assistant", "Yes"}};
  EXPECT_EQ(chat.render(turns), "user:Hi assistant:Yes assistant:");
  EXPECT_EQ(chat.render_whole(turns), "user:Hi assistant:Yes ");
}

TEST(ChatTemplates, WhatIsNotKnownIsRefusedByItsNameAndLine) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"a\n{% import 'x' %}", "line 2: expected set, if, for"},
           {"{% block body %}{% endblock %}", "block"},
           {"{{ x | nosuch }}", "filter nosuch"},
           {"{{ 1 is nosuch }}", "test nosuch"},
           {"{{ lipsum() }}", "lipsum() is not known"},
           {"{{ 'a'.nosuch() }}", "no method nosuch"},
           {"{{ [1] }}", "a list cannot be written"},
           {"{{ messages + 'a' }}", "a list + a text"},
           {"{{ 'a' < 1 }}", "a text < a number"},
           {"{{ nothing.here }}", "nothing (undefined) has no here"},
           {"{{ 1 // 0 }}", "divisor"},
           {"{{ 9223372036854775807 + 1 }}", "too large"},
           {"{% set a.b = 1 %}", "expected a namespace"},
           {"{% break %}", "expected a loop"},
           {"{{ raise_exception('two\nlines') }}", "the template says: two\\x0alines"}})
    EXPECT_NE(message_of([&] { rendered(text); }).find(expected), std::string::npos)
        << text << " -> " << message_of([&] { rendered(text); });
}

TEST(ChatTemplates, WhatIsNoTemplateIsOneLine) {
  for (const std::string text :
       {"{{ 'a }}", "{{ a", "{% if a %}", "{% for x in %}{% endfor %}", "{# a", "{{ a b }}",
        "{{ }}", "{{ a[ }}", "{{ (a }}", "{% if a %}{% else %}{% else %}{% endif %}", "{% endif %}",
        "{{ @ }}", "{{ '\\ud800' }}", "{{ 1 < 2 < 3 }}", "{{ a[1:2:3:4] }}", "{{ {1: 2 }}",
        "{% set a %}x{% endset %}", "{% macro m( %}"}) {
    const std::string message = message_of([&] { rendered(text); });
    EXPECT_TRUE(message.starts_with("chat template: line 1: ")) << text << " -> " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(ChatTemplates, NeverWorkWithoutEnd) {
  std::string deep;
  const std::string open(5000, '('), close(5000, ')');
  EXPECT_NE(
      message_of([&] { rendered("{{ " + open + "1" + close + " }}"); }).find("nested too deep"),
      std::string::npos);
  for (int i = 0; i < 5000; ++i) deep += "{% if 1 %}";
  EXPECT_NE(message_of([&] { rendered(deep); }).find("nested too deep"), std::string::npos);
  const std::string loops =
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
  EXPECT_NE(message_of([&] { rendered(loops); }).find("steps"), std::string::npos);
  const std::string calls = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
  EXPECT_NE(message_of([&] { rendered(calls); }).find("calls itself"), std::string::npos);
  const std::string doubled =
      "{% set ns = namespace(t='aaaaaaaa') %}{% for i in range(64) %}{% set ns.t = ns.t + ns.t "
      "%}{% endfor %}{{ ns.t }}";
  EXPECT_NE(message_of([&] { rendered(doubled); }).find("bytes"), std::string::npos);
}

TEST(ChatTemplates, NumbersAndNestingHaveEnds) {
  const std::string least = "(-9223372036854775807 - 1)";
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"{{ " + least + " // -1 }}", "divisor"},
           {"{{ -" + least + " }}", "too large"},
           {"{{ 1e300 | int }}", "too large"},
           {"{{ range(" + least + ") }}", "range: expected numbers up to"},
           {"{{ 'abc'[::" + least + "] }}", "a slice in steps"},
           {"{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}"
            "{% endfor %}",
            "nested deeper"},
           {"{% set ns = namespace(x='abcdefgh') %}{% for i in range(20) %}"
            "{% set ns.x = ns.x + ns.x %}{% endfor %}{% set a = [ns.x, ns.x, ns.x, ns.x, ns.x, "
            "ns.x,"
            " ns.x, ns.x, ns.x, ns.x] %}",
            "grew beyond"}})
    EXPECT_NE(message_of([&] { rendered(text); }).find(expected), std::string::npos)
        << text << " -> " << message_of([&] { rendered(text); });
  EXPECT_EQ(rendered("{{ " + least + " // 3 }} {{ 5 % 9223372036854775807 }} {{ 5 // -1 }}"),
            "-3074457345618258603 5 -5");
  EXPECT_EQ(rendered("{{ '12a' | int }} {{ ' 12 ' | int }} {{ '-2.9' | int }} {{ 2.9 | int }}"),
            "0 12 -2 2");
}

TEST(ChatTemplates, TextsThatAreNotUtf8AreErrors) {
  for (const std::string text : {"a\n{{ 'x\xd5' | tojson }}", "a\n\xff", "\n{# \xc3"})
    EXPECT_THROW(rendered(text), Error) << text;
  EXPECT_NE(message_of([&] { rendered("a\n\xff"); }).find("line 2: not UTF-8 at byte 2"),
            std::string::npos);
  EXPECT_THROW(rendered("{{ messages | tojson }}", {{"user", "\xc3"}}), Error);
}

// Megabytes, of which a search or a list of all characters would be too much.
TEST(ChatTemplates, LongTextsTakeNoMoreThanTheirLength) {
  const std::string set =
      "{% set ns = namespace(t='aaaaaaaaaaaaaaaa') %}{% for i in range(18) %}"
      "{% set ns.t = ns.t ~ ns.t %}{% endfor %}";
  EXPECT_EQ(rendered(set + "{{ (ns.t[2097152:] ~ 'b') in ns.t }} {{ ns.t | length }}"),
            "False 4194304");
  EXPECT_EQ(rendered(set + "{{ ns.t[4194303:] }}{{ ns.t[-1] }}{{ ns.t[:2] }}"), "aaaa");
  EXPECT_NE(message_of([&] { rendered(set + "{{ ns.t | list }}"); }).find("to go through"),
            std::string::npos);
}

TEST(ChatTemplates, CountCharacters) {
  EXPECT_EQ(rendered("{% set t = 'é猫a' %}{{ t | length }} {{ t[1] }} {{ t[-1] }} {{ t[:2] }} "
                     "{{ t[1:] }} {{ t[::-1] }} {{ t[2:1] }}"),
            "3 猫 a é猫 猫a a猫é ");
}

TEST(ChatTemplates, StripWholeCharacters) {
  EXPECT_EQ(rendered("{{ 'éaãé'.strip('é') | tojson }}"), "\"aã\"");
  EXPECT_EQ(rendered("{{ 'éaã'.strip('ãè') | tojson }}"), "\"éa\"");
  EXPECT_EQ(rendered("{{ 'xaxyx'.rstrip('xy') }} {{ 'xaxyx'.lstrip('xy') }}"), "xa axyx");
}

TEST(ChatTemplates, LieInAFileOfTheirOwnOrAmongTheTokenizersSettings) {
  const TemporaryFolder folder;
  EXPECT_NE(message_of([&] { open_chat_template(folder.path()); }).find("no chat template"),
            std::string::npos);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  write(
      "tokenizer_config.json",
      R"({"bos_token": "<b>", "chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ bos_token }}list"}]})");
  EXPECT_EQ(open_chat_template(folder.path()).render({}), "<b>list");
  write("tokenizer_config.json",
        R"({"bos_token": "<b>", "chat_template": "{{ bos_token }}{{ eos_token }}one"})");
  EXPECT_EQ(open_chat_template(folder.path()).render({}), "<b>one");
  write("chat_template.jinja", "{{ bos_token }}file\n");
  EXPECT_EQ(open_chat_template(folder.path()).render({}), "<b>file");
}

}  // namespace
}  // namespace halftone
