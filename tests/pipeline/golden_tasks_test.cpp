// Prompts and token ids of lm-evaluation-harness (golden/eval).

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "evaluate/token_request.h"
#include "support/fixtures.h"
#include "task/items.h"

namespace halftone {
namespace {

using ::halftone::testing::shared_data;
using ::halftone::testing::TemporaryFolder;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

std::vector<Json> rows_of(const std::string& name) {
  std::ifstream file(shared_data(name));
  std::vector<Json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(Json::parse(line));
  return rows;
}

void expect_prompts(const TaskItem& item, const Json& golden, const RequestEncoder& encoder) {
  const Json& requests = golden.at("requests");
  ASSERT_EQ(item.contexts.size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(item.contexts[i], requests[i].at("context"));
    EXPECT_EQ(item.continuations[i], requests[i].at("continuation"));
    EXPECT_EQ(item.lengths[i], golden.at("choice_lengths")[i]);
    const TokenRequest request = encoder.encode(item.contexts[i], item.continuations[i]);
    EXPECT_EQ(request.context, requests[i].at("ctx_ids").get<std::vector<TokenId>>());
    EXPECT_EQ(request.continuation, requests[i].at("cont_ids").get<std::vector<TokenId>>());
  }
  EXPECT_EQ(item.gold, golden.at("gold"));
}

void expect_golden(const std::string& name, const std::filesystem::path& data) {
  HALFTONE_REQUIRE_SHARED("golden/eval");
  const auto tokenizer = open_tokenizer(shared_data("tokenizers/smollm2"));
  const RequestEncoder encoder(*tokenizer, tokenizer->vocabulary_size());
  const std::vector<Json> golden = rows_of("golden/eval/" + name + ".jsonl");
  ASSERT_EQ(golden.size(), 40u);
  const TaskItems all = read_items(locate_task(find_task(name), data, 0), 40);
  for (const Json& row : golden)
    expect_prompts(all.items.at(row.at("doc").get<size_t>()), row, encoder);
}

TEST(GoldenTasks, PiqaAsksAsTheHarnessDoes) {
  expect_golden("piqa", shared_data("tasks"));
}

TEST(GoldenTasks, WinograndeAsksAsTheHarnessDoes) {
  expect_golden("winogrande", shared_data("tasks"));
}

TEST(GoldenTasks, ArcEasyAsksAsTheHarnessDoes) {
  expect_golden("arc_easy", shared_data("tasks"));
}

TEST(GoldenTasks, ArcChallengeAsksAsTheHarnessDoes) {
  expect_golden("arc_challenge", shared_data("tasks"));
}

// A HellaSwag file as it is published, of golden rows that hold its fields.
void write_hellaswag(const std::filesystem::path& folder, const std::vector<Json>& rows) {
  std::ofstream file(folder / "hellaswag_val.jsonl");
  for (const Json& row : rows) {
    Json item = row.contains("source") ? row.at("source") : row;
    item["label"] = std::to_string(row.at("gold").get<int>());
    file << item.dump() << "\n";
  }
}

TEST(GoldenTasks, HellaswagAsksAsTheHarnessDoes) {
  HALFTONE_REQUIRE_SHARED("golden/eval");
  const TemporaryFolder folder;
  write_hellaswag(folder.path(), rows_of("golden/eval/hellaswag.jsonl"));
  expect_golden("hellaswag", folder.path());
}

TEST(GoldenTasks, HellaswagIsCleanedUpAsTheHarnessDoes) {
  HALFTONE_REQUIRE_SHARED("golden/eval");
  const std::vector<Json> golden = rows_of("golden/eval/hellaswag_preprocess.jsonl");
  const TemporaryFolder folder;
  write_hellaswag(folder.path(), golden);
  const TaskItems all = read_items(locate_task(find_task("hellaswag"), folder.path(), 0), 0);
  ASSERT_EQ(all.items.size(), golden.size());
  for (size_t i = 0; i < golden.size(); ++i) {
    const TaskItem& item = all.items[i];
    EXPECT_EQ(item.contexts, Texts(4, golden[i].at("query")));
    for (size_t choice = 0; choice < 4; ++choice)
      EXPECT_EQ(item.continuations[choice],
                " " + golden[i].at("choices")[choice].get<std::string>());
    EXPECT_EQ(item.gold, golden[i].at("gold"));
  }
}

// The first rows of a training file, and the prompts that the harness makes with it.
TEST(GoldenTasks, Gsm8kAsksBehindTheHarnesssExamples) {
  HALFTONE_REQUIRE_SHARED("golden/eval");
  const TemporaryFolder folder;
  const auto link = [&](const char* from, const char* to) {
    std::filesystem::create_symlink(shared_data(std::string("tasks/") + from), folder / to);
  };
  link("gsm8k_test.jsonl", "gsm8k_test.jsonl");
  link("gsm8k_train_head200.jsonl", "gsm8k_train.jsonl");
  const std::vector<Json> golden = rows_of("golden/eval/gsm8k_prompts_head200.jsonl");
  const TaskItems all =
      read_items(locate_task(find_task("gsm8k"), folder.path(), std::nullopt), 20);
  for (const Json& row : golden)
    EXPECT_EQ(all.items.at(row.at("doc").get<size_t>()).contexts, Texts{row.at("prompt")});
  EXPECT_EQ(read_items(locate_task(find_task("gsm8k"), folder.path(), 0), 1)
                .items[0]
                .contexts[0]
                .find("Question: Janet"),
            0u);
}

}  // namespace
}  // namespace halftone
