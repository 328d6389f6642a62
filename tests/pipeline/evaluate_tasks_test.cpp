#include "pipeline/evaluate_tasks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/files.h"
#include "evaluate/task_statistics.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using Json = nlohmann::json;

constexpr const char* kStories[] = {
    R"({"goal": "Once upon a time, there was a little", "sol1": "girl named Lily.", "sol2": "zx qq!", "label": 0})",
    R"({"goal": "Tim went to the park. He saw a big", "sol1": "7 % 8", "sol2": "dog.", "label": 1})",
    R"({"goal": "The sun", "sol1": "was warm and bright.", "sol2": "sun sun sun", "label": 1})",
    R"({"goal": "Mom said", "sol1": "yes and they all laughed", "sol2": "no.", "label": 0})"};

// Four items in the layout of PIQA, and a request for them on the demo model.
class EvaluateTasks : public ::testing::Test {
 protected:
  EvaluateTasks() {
    write_items(std::string());
    request_.model = example("stories260K");
    request_.tasks.names = {"piqa"};
    request_.tasks.data = folder_.path();
  }
  // `last` behind the items
  void write_items(const std::string& last) {
    std::ofstream file(folder_ / "piqa_valid.jsonl");
    for (const char* story : kStories) file << story << "\n";
    file << last;
  }
  Json evaluated() {
    SilentProgress progress;
    return evaluate_model(request_, progress);
  }
  std::string refusal() {
    return message_of([&] { evaluated(); });
  }
  std::vector<Json> lines() {
    std::ifstream file(folder_ / "items.jsonl");
    std::vector<Json> all;
    for (std::string line; std::getline(file, line);) all.push_back(Json::parse(line));
    return all;
  }

  TemporaryFolder folder_;
  EvaluateRequest request_;
};

TEST_F(EvaluateTasks, ReportAccuracyWithItsError) {
  const Json result = evaluated();
  const Json& piqa = result.at("tasks").at("piqa");
  EXPECT_EQ(piqa.at("items"), 4);
  EXPECT_EQ(piqa.at("metric"), "acc_norm");
  EXPECT_EQ(piqa.at("data_sha256").get<std::string>().size(), 64u);
  const double share = piqa.at("acc").get<double>();
  EXPECT_GE(share, 0.5);  // its first two items are plain
  EXPECT_NEAR(piqa.at("stderr").get<double>(), std::sqrt(share * (1 - share) / 3), 1e-12);
  EXPECT_EQ(result.at("tasks_mean").at("value"), piqa.at("acc_norm"));
  EXPECT_TRUE(result.at("text").is_null());
  EXPECT_FALSE(result.contains("perplexity"));
  EXPECT_FALSE(piqa.contains("flips"));
}

TEST_F(EvaluateTasks, TextAndTasksGoTogether) {
  request_.texts = {example("tinystories-evaluation.txt")};
  request_.length = 64;
  request_.windows = 1;
  const Json result = evaluated();
  EXPECT_TRUE(result.contains("perplexity"));
  EXPECT_TRUE(result.at("tasks").contains("piqa"));
}

TEST_F(EvaluateTasks, AModelFlipsNothingAgainstItself) {
  request_.reference = request_.model;
  const Json result = evaluated();
  const Json& piqa = result.at("tasks").at("piqa");
  EXPECT_EQ(piqa.at("reference").at("acc"), piqa.at("acc"));
  EXPECT_EQ(piqa.at("flips"),
            Json::parse(R"({"right_to_wrong": 0, "wrong_to_right": 0, "p": 1.0})"));
  EXPECT_EQ(result.at("tasks_mean").at("reference"), result.at("tasks_mean").at("value"));
}

TEST_F(EvaluateTasks, OneItemHasNoError) {
  request_.tasks.limit = 1;
  const Json result = evaluated();
  EXPECT_EQ(result.at("tasks").at("piqa").at("items"), 1);
  EXPECT_TRUE(result.at("tasks").at("piqa").at("stderr").is_null());
}

TEST_F(EvaluateTasks, ATaskOfOnesOwnNeedsAFileAndItsDataBeside) {
  std::ofstream(folder_ / "mine.toml") << R"(
kind = "multiple_choice"
metrics = ["acc"]
[[data]]
file = "piqa_valid.jsonl"
[[item]]
context = "{goal}"
choices = ["{sol1}", "{sol2}"]
gold = "{label}"
)";
  request_.tasks.names = {(folder_ / "mine.toml").string()};
  request_.tasks.data = "";
  const Json mine = evaluated().at("tasks").at("mine");
  EXPECT_EQ(mine.at("metric"), "acc");
  EXPECT_FALSE(mine.contains("acc_norm"));
  request_.tasks.names.push_back(request_.tasks.names.front());
  EXPECT_EQ(refusal(), "--tasks: expected each task once, found mine twice");
}

TEST_F(EvaluateTasks, ItemsAreWrittenALineEach) {
  request_.tasks.items = folder_ / "items.jsonl";
  request_.reference = request_.model;
  const Json result = evaluated();
  const std::vector<Json> all = lines();
  ASSERT_EQ(all.size(), 4u);
  double right = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].at("task"), "piqa");
    EXPECT_EQ(all[i].at("index"), i);
    EXPECT_EQ(all[i].at("gold"), Json::parse(kStories[i]).at("label"));
    EXPECT_EQ(all[i].at("loglikelihoods").size(), 2u);
    EXPECT_EQ(all[i].at("is_greedy").size(), 2u);
    EXPECT_EQ(all[i].at("reference").at("loglikelihoods"), all[i].at("loglikelihoods"));
    right += all[i].at("acc").get<double>();
  }
  EXPECT_EQ(result.at("tasks").at("piqa").at("acc"), right / 4);
}

TEST_F(EvaluateTasks, AResumedRunTakesWhatIsThere) {
  request_.tasks.items = folder_ / "items.jsonl";
  const Json first = evaluated();
  EXPECT_NE(refusal().find("items.jsonl: expected no file, found one: --resume goes on"),
            std::string::npos);
  // an item that says otherwise is believed; a line that was broken off and a missing one are not
  std::vector<Json> all = lines();
  all[0]["loglikelihoods"] = {-9, -1};
  std::ofstream(folder_ / "items.jsonl") << all[0] << "\n"
                                         << all[2] << "\n"
                                         << R"({"task": "pi)";
  request_.tasks.resume = true;
  const Json resumed = evaluated();
  EXPECT_EQ(resumed.at("tasks").at("piqa").at("acc").get<double>(),
            first.at("tasks").at("piqa").at("acc").get<double>() - 0.25);
  const std::vector<Json> after = lines();
  ASSERT_EQ(after.size(), 4u);
  EXPECT_EQ(after[1], all[2]);
  EXPECT_EQ(after[2].at("index"), 1);
  EXPECT_EQ(after[3].at("index"), 3);
  // and a third time nothing is left to do
  EXPECT_EQ(evaluated().at("tasks"), resumed.at("tasks"));
  EXPECT_EQ(lines(), after);
}

TEST_F(EvaluateTasks, ItemsOfAnotherRunAreRefused) {
  request_.tasks.items = folder_ / "items.jsonl";
  evaluated();
  request_.tasks.resume = true;
  request_.tasks.limit = 2;  // the same items, fewer of them
  EXPECT_EQ(evaluated().at("tasks").at("piqa").at("items"), 2);
  write_items("\n" + std::string(kStories[0]));
  EXPECT_NE(refusal().find("items.jsonl: line 1: expected an item of this run of piqa"),
            std::string::npos);
  std::ofstream(folder_ / "items.jsonl") << "{\"task\": \"piqa\", \"run\": 1}\n";
  EXPECT_NE(refusal().find("items.jsonl: line 1: \"run\": expected a string"), std::string::npos);
}

TEST_F(EvaluateTasks, ItemsAreNotWrittenOverWhatIsRead) {
  request_.tasks.items = folder_ / "piqa_valid.jsonl";
  request_.tasks.resume = true;
  EXPECT_NE(refusal().find("piqa_valid.jsonl"), std::string::npos);
  EXPECT_EQ(read_file(folder_ / "piqa_valid.jsonl").substr(0, 8), "{\"goal\":");
  request_.tasks.items = folder_ / "none/items.jsonl";
  EXPECT_NE(refusal().find("none"), std::string::npos);
}

TEST_F(EvaluateTasks, APromptLongerThanTheContextIsRefusedOrCut) {
  std::string goal;
  for (int i = 0; i < 300; ++i) goal += "once upon a time ";
  const Json item = {{"goal", goal}, {"sol1", "one"}, {"sol2", "two"}, {"label", 0}};
  write_items(item.dump());
  const std::string message = refusal();
  EXPECT_EQ(message.find((folder_ / "piqa_valid.jsonl").string() + ": line 5: its prompt with "),
            0u)
      << message;
  EXPECT_NE(message.find("expected at most 512, the model's context: --truncate cuts"),
            std::string::npos);
  request_.tasks.truncate = true;
  const Json result = evaluated();
  EXPECT_EQ(result.at("tasks").at("piqa").at("items"), 5);
  EXPECT_EQ(result.at("notes").back(),
            "piqa: 2 prompts were longer than the context and cut from the left");
}

constexpr const char* kAnswered = R"(kind = "generation"
max_tokens = 6
stops = ["."]
[[extract]]
name = "first_word"
find = '\w+'
[[extract]]
name = "last_word"
find = '\w+'
take = "last"
[[data]]
file = "questions.jsonl"
[[item]]
context = "{q}"
answer = "{a}"
)";

// Stories that the demo model goes on with, and what it says.
class EvaluateAnswers : public EvaluateTasks {
 protected:
  EvaluateAnswers() {
    std::ofstream(folder_ / "told.toml") << kAnswered;
    std::ofstream(folder_ / "questions.jsonl") << R"({"q": "Once upon a time,", "a": "there"}
{"q": "Once upon a time, there was a little", "a": "girl"}
{"q": "Lily and Tim went to the", "a": "moon"}
)";
    request_.tasks.names = {(folder_ / "told.toml").string()};
    request_.tasks.data = "";
  }
};

TEST_F(EvaluateAnswers, AreFoundInWhatTheModelSays) {
  request_.tasks.items = folder_ / "items.jsonl";
  const Json told = evaluated().at("tasks").at("told");
  EXPECT_EQ(told.at("metric"), "first_word");
  EXPECT_EQ(told.at("items"), 3);
  EXPECT_NEAR(told.at("first_word").get<double>(), 2.0 / 3, 1e-12);
  EXPECT_TRUE(told.contains("last_word_stderr"));
  EXPECT_FALSE(told.contains("acc"));
  const std::vector<Json> all = lines();
  ASSERT_EQ(all.size(), 3u);
  for (const Json& line : all) {
    const auto index = line.at("index").get<size_t>();
    EXPECT_EQ(line.at("exact_match").at("first_word"), index < 2 ? 1 : 0);
    EXPECT_TRUE(line.at("output").get<std::string>().starts_with(
        line.at("extracted").at("first_word").get<std::string>()));
  }
}

TEST_F(EvaluateAnswers, OfAReferenceFlipNothingAgainstItself) {
  request_.reference = request_.model;
  const Json result = evaluated();
  const Json& told = result.at("tasks").at("told");
  EXPECT_EQ(told.at("reference").at("first_word"), told.at("first_word"));
  EXPECT_EQ(told.at("flips"),
            Json::parse(R"({"right_to_wrong": 0, "wrong_to_right": 0, "p": 1.0})"));
  EXPECT_EQ(result.at("tasks_mean").at("value"), told.at("first_word"));
}

TEST_F(EvaluateAnswers, AResumedRunTakesWhatIsThere) {
  request_.tasks.items = folder_ / "items.jsonl";
  request_.reference = request_.model;
  const Json first = evaluated();
  std::vector<Json> all = lines();
  std::erase_if(all, [](const Json& line) { return line.at("index") == 1; });
  {
    std::ofstream file(folder_ / "items.jsonl");
    for (Json& line : all) {
      if (line.at("index") == 0) line["output"] = "nothing";  // is believed
      file << line << "\n";
    }
  }
  request_.tasks.resume = true;
  const Json resumed = evaluated();
  EXPECT_EQ(lines().size(), 3u);
  EXPECT_NEAR(resumed.at("tasks").at("told").at("first_word").get<double>(), 1.0 / 3, 1e-12);
  EXPECT_EQ(resumed.at("tasks").at("told").at("flips").at("right_to_wrong"), 1);
  EXPECT_EQ(evaluated().at("tasks"), resumed.at("tasks"));
}

TEST_F(EvaluateAnswers, APromptThatLeavesNoRoomForTheAnswerIsRefusedOrCut) {
  std::string question;
  for (int i = 0; i < 300; ++i) question += "once upon a time ";
  std::ofstream(folder_ / "questions.jsonl", std::ios::app)
      << Json({{"q", question}, {"a", "there"}}) << "\n";
  const std::string message = refusal();
  EXPECT_EQ(message.find((folder_ / "questions.jsonl").string() + ": line 4: its prompt has "), 0u)
      << message;
  EXPECT_NE(message.find("expected at most 506, the model's context less 6 for the answer"),
            std::string::npos);
  request_.tasks.truncate = true;
  EXPECT_EQ(evaluated().at("notes").back(),
            "told: 1 prompts were longer than the context and cut from the left");
}

TEST_F(EvaluateTasks, ShortTextsAreWrittenAndLookedAt) {
  request_.tasks.names = {};
  request_.texts = {example("tinystories-evaluation.txt")};
  request_.length = 64;
  request_.windows = 4;
  request_.generate = 3;
  request_.reference = request_.model;
  const Json result = evaluated();
  const Json& generation = result.at("generation");
  EXPECT_EQ(generation.at("texts"), 3);
  EXPECT_EQ(generation.at("samples").size(), 3u);
  EXPECT_EQ(generation.at("loops").at("value"), generation.at("reference").at("loops").at("value"));
  EXPECT_EQ(generation.at("json").at("value"), 0);  // a model of stories
  const Json& sample = generation.at("samples").at(0);
  EXPECT_EQ(sample.at("text"), sample.at("reference").at("text"));
  EXPECT_GT(sample.at("text").get<std::string>().size(), 50u);
  EXPECT_NE(sample.at("prompt"), generation.at("samples").at(1).at("prompt"));
}

TEST_F(EvaluateTasks, AModelThatComesToNoNumberSaysSo) {
  const fs::path model = folder_ / "model";
  fs::copy(example("stories260K"), model);
  std::string bytes = read_file(model / "model.safetensors");
  // the last tensor's last numbers become NaN
  for (size_t i = bytes.size() - 64; i < bytes.size(); ++i) bytes[i] = '\xff';
  write_file_atomically(model / "model.safetensors", bytes);
  request_.model = model;
  const Json result = evaluated();
  EXPECT_TRUE(result.contains("failure")) << result;
}

}  // namespace
}  // namespace halftone
