#include "task/task.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

constexpr const char* kTask = R"(kind = "multiple_choice"
metrics = ["acc", "acc_norm"]
[[data]]
file = "a.jsonl"
[[item]]
context = "Q: {q}"
choices = ["{a}", "{b}"]
gold = "{label}"
)";

std::string refusal(const std::string& from, const std::string& to) {
  std::string toml = kTask;
  toml.replace(toml.find(from), from.size(), to);
  return message_of([&] { parse_task(toml, "mine"); });
}

TEST(Task, IsReadFromToml) {
  const Task task = parse_task(kTask, "mine");
  EXPECT_EQ(task.name, "mine");
  EXPECT_TRUE(task.normalized);
  EXPECT_FALSE(task.by_context);
  EXPECT_EQ(task.delimiter, " ");
  ASSERT_EQ(task.data.size(), 1u);
  EXPECT_EQ(task.data[0].items, "a.jsonl");
  ASSERT_EQ(task.items.size(), 1u);
  EXPECT_EQ(task.items[0].fields(), (std::vector<std::string>{"label", "q", "a", "b"}));
  EXPECT_EQ(task.items[0].contexts.templates()[0].where(), "mine.toml line 6");
}

TEST(Task, EveryBuiltInTaskIsOne) {
  EXPECT_GE(builtin_tasks().size(), 5u);
  for (const auto& [name, toml] : builtin_tasks()) {
    const Task task = find_task(name);
    EXPECT_EQ(task.name, name);
    EXPECT_FALSE(task.summary.empty()) << name;
    EXPECT_FALSE(task.paper.empty()) << name;
    EXPECT_TRUE(task.folder.empty()) << name;
  }
}

TEST(Task, ErrorsNameTheLine) {
  EXPECT_EQ(refusal("choices", "choises"),
            "line 7: unknown key choises (did you mean choices?); known keys: context, choices, "
            "context_filter, gold, gold_among, note");
  EXPECT_EQ(refusal("metrics", "metric"),
            "line 2: unknown key metric (did you mean metrics?); known keys: summary, paper, kind, "
            "metrics, delimiter, shots, data, train, draw_one_more, item");
  EXPECT_EQ(refusal("gold = \"{label}\"", ""), "line 5: \"gold\" is missing");
  EXPECT_EQ(
      refusal("multiple_choice", "generated"),
      "line 1: kind: expected one of multiple_choice, partial, continuation, generation, found "
      "\"generated\"");
  EXPECT_EQ(refusal("\"multiple_choice\"", "3"), "line 1: kind: expected a string, found a value");
  EXPECT_EQ(refusal("multiple_choice", "continuation"),
            "line 2: metrics: acc_norm compares choices, a continuation is one");
  EXPECT_EQ(refusal("acc_norm", "f1"),
            "line 2: metrics: expected \"acc\" and \"acc_norm\", found \"f1\"");
  EXPECT_EQ(refusal("[\"acc\", \"acc_norm\"]", "[]"),
            "line 2: metrics: expected a list of strings, found an empty list");
  EXPECT_EQ(refusal("[[item]]", "[item]"),
            "line 5: expected [[item]] (two brackets), found a table");
  EXPECT_NE(refusal("[[data]]\nfile = \"a.jsonl\"\n", "").find("expected [[data]]"),
            std::string::npos);
  EXPECT_EQ(refusal("[[data]]", "draw_one_more = 1\n[[data]]"),
            "line 3: draw_one_more: expected true or false");
  EXPECT_EQ(refusal("[[data]]", "[[train]]\nfiles = \"b\"\n[[data]]"),
            "line 4: unknown key files (did you mean file?); known keys: file, labels");
  EXPECT_NE(refusal("{q}", "{q").find("line 6: context: template: expected braces"),
            std::string::npos);
  EXPECT_NE(refusal("{b}", "{b | upper}").find("line 7: choices: unknown filter \"upper\""),
            std::string::npos);
  EXPECT_NE(refusal("gold =", "context_filter = \"upper\"\ngold =").find("line 8: unknown filter"),
            std::string::npos);
  EXPECT_NE(refusal("kind", "kind = = 1").find("line 1: not TOML"), std::string::npos);
  EXPECT_NE(refusal("context =", "contexts =").find("line 6: unknown key contexts"),
            std::string::npos);
}

TEST(Task, IsFoundByNameOrFile) {
  EXPECT_EQ(
      message_of([] { find_task("pica"); }),
      "task pica: unknown (did you mean piqa?); known are " + task_names() + ", or a .toml file");
  const TemporaryFolder folder;
  std::ofstream(folder / "mine.toml") << kTask;
  std::ofstream(folder / "a.b.toml") << kTask;
  std::ofstream(folder / "bad.toml") << "kind = 1";
  const Task task = find_task((folder / "mine.toml").string());
  EXPECT_EQ(task.name, "mine");
  EXPECT_EQ(task.folder, folder.path());
  const auto message = [&](const char* name) {
    return message_of([&] { find_task((folder / name).string()); });
  };
  EXPECT_NE(message("a.b.toml").find("a.b.toml: expected a file name of letters"),
            std::string::npos);
  EXPECT_EQ(message("bad.toml"),
            (folder / "bad.toml").string() + ": line 1: kind: expected a string, found a value");
  EXPECT_NE(message("none.toml").find("none.toml: cannot be opened"), std::string::npos);
}

}  // namespace
}  // namespace halftone
