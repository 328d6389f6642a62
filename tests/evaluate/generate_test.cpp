#include "evaluate/generate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::shared_data;
using ::halftone::testing::test_data;
using Ids = std::vector<TokenId>;
using Json = nlohmann::json;

const Execution kExecution{at::kCPU, at::kFloat, 1};

fs::path demo_model() {
  return fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K";
}

// Of models whose tokens are all that counts.
class Silent final : public Tokenizer {
 public:
  Ids encode(std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const TokenId>, bool) const override { return ""; }
  std::string piece(TokenId) const override { return ""; }
  int64_t vocabulary_size() const override { return 0; }
  std::string description() const override { return "none"; }
};

// A model with its tokenizer.
struct Held {
  explicit Held(const fs::path& folder,
                std::unique_ptr<const Tokenizer> with = open_tokenizer(demo_model()))
      : model(std::make_shared<const Checkpoint>(folder)),
        tokenizer(std::move(with)),
        held(model, kExecution) {}

  std::vector<GeneratedText> generate(const GenerationOptions& options,
                                      const std::vector<Ids>& prompts) {
    std::vector<GeneratedText> texts(prompts.size());
    halftone::generate(
        held, *tokenizer, options, prompts,
        {.grown = [&](size_t at, std::string_view more) { grown[at] += more; },
         .finished = [&](size_t at, GeneratedText text) { texts[at] = std::move(text); },
         .step = [&] { ++steps; }});
    return texts;
  }
  GeneratedText generate(const GenerationOptions& options, const std::string& prompt) {
    return generate(options, std::vector<Ids>{tokenizer->encode(prompt, true)}).front();
  }

  Model model;
  std::unique_ptr<const Tokenizer> tokenizer;
  HeldModel held;
  std::map<size_t, std::string> grown;
  int steps = 0;
};

TEST(Generate, GoesOnWithATextAsItComes) {
  Held demo(demo_model());
  const GeneratedText text = demo.generate({.max_tokens = 20}, "Once upon a time,");
  EXPECT_EQ(text.ids.size(), 20u);
  EXPECT_EQ(text.finish, Finish::kLength);
  EXPECT_TRUE(text.text.starts_with(" there was a ")) << text.text;
  EXPECT_EQ(demo.grown[0], text.text);
  EXPECT_EQ(demo.steps, 20);
}

TEST(Generate, EndsBeforeAStopAndAtATokenThatEndsTexts) {
  Held demo(demo_model());
  const GeneratedText all = demo.generate({.max_tokens = 20}, "Once upon a time,");
  const GeneratedText stopped =
      demo.generate({.max_tokens = 20, .stops = {"zebra", "was"}}, "Once upon a time,");
  EXPECT_EQ(stopped.text, " there ");
  EXPECT_EQ(stopped.finish, Finish::kStop);
  const GeneratedText ended =
      demo.generate({.max_tokens = 20, .ends = {all.ids[4]}}, "Once upon a time,");
  EXPECT_EQ(ended.finish, Finish::kEnd);
  EXPECT_EQ(ended.ids, Ids(all.ids.begin(), all.ids.begin() + 4));
}

TEST(Generate, ATextByItselfHasNoSpaceInFront) {
  Held demo(demo_model());
  const GeneratedText text =
      demo.generate({.max_tokens = 20, .goes_on = false}, "Once upon a time,");
  EXPECT_TRUE(text.text.starts_with("there was a ")) << text.text;
}

TEST(Generate, StopsWhereTheContextIsFull) {
  Held demo(demo_model());
  const GeneratedText text = demo.generate({.max_tokens = 100}, std::vector<Ids>{Ids(500, 5)})[0];
  EXPECT_EQ(text.finish, Finish::kContext);
  EXPECT_EQ(text.ids.size(), 13u);  // the last is predicted by token 512
}

TEST(Generate, ManyTextsAreThoseOfEachByItself) {
  Held demo(demo_model());
  std::vector<Ids> prompts;
  for (int i = 0; i < 40; ++i)
    prompts.push_back(demo.tokenizer->encode(
        fmt::format("{} {}", i % 3 ? "Once upon a time" : "Tim and Sam", i), true));
  const GenerationOptions options{.max_tokens = 12, .stops = {"."}};
  const std::vector<GeneratedText> all = demo.generate(options, prompts);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const GeneratedText alone = demo.generate(options, std::vector<Ids>{prompts[i]})[0];
    EXPECT_EQ(all[i].ids, alone.ids);
    EXPECT_EQ(all[i].text, alone.text);
    EXPECT_EQ(all[i].finish, alone.finish);
  }
}

TEST(Generate, DrawsTheSameByTheSameSeed) {
  Held demo(demo_model());
  const auto drawn = [&](uint64_t seed) {
    return demo
        .generate({.max_tokens = 30, .sampling = {.temperature = 1.5, .seed = seed}},
                  "Once upon a time,")
        .ids;
  };
  EXPECT_EQ(drawn(3), drawn(3));
  EXPECT_NE(drawn(3), drawn(4));
}

// Tokens of transformers, by tests/crosscheck/greedy_tokens.py.
void expect_greedy(const std::string& name, const fs::path& folder) {
  std::ifstream file(test_data("generate/greedy.json"));
  const Json rows = Json::parse(file).at("models").at(name);
  Held held(folder, std::make_unique<Silent>());
  for (const Json& row : rows) {
    const auto expected = row.at("greedy").get<Ids>();
    ASSERT_FALSE(expected.empty());
    const GeneratedText text = held.generate({.max_tokens = static_cast<int64_t>(expected.size())},
                                             std::vector<Ids>{row.at("prompt").get<Ids>()})[0];
    EXPECT_EQ(text.ids, expected) << name;
  }
}

TEST(Generate, GreedyTokensAreThoseOfTransformers) {
  expect_greedy("stories260K", demo_model());
}

TEST(GoldenGenerate, GreedyTokensOfEveryFamilyAreThoseOfTransformers) {
  HALFTONE_REQUIRE_SHARED("models/zoo");
  std::ifstream file(test_data("generate/greedy.json"));
  const Json models = Json::parse(file).at("models");
  size_t families = 0;
  for (const auto& [name, rows] : models.items())
    if (name.starts_with("zoo/")) {
      expect_greedy(name, shared_data("models/" + name));
      ++families;
    }
  EXPECT_GE(families, 18u);
}

TEST(Loops, AreThreeTimesTheSameAndTwelveTokensAtLeast) {
  const auto ends = [](const Ids& ids) { return ends_in_a_loop(ids); };
  Ids ids = {9, 8, 7, 6};
  for (int i = 0; i < 11; ++i) ids.push_back(5);
  EXPECT_FALSE(ends(ids));
  ids.push_back(5);
  EXPECT_TRUE(ends(ids));
  ids.push_back(4);
  EXPECT_FALSE(ends(ids));
  Ids phrase;  // five tokens, again and again, broken off in the middle
  for (int i = 0; i < 14; ++i) phrase.push_back(20 + i % 5);
  EXPECT_FALSE(ends(phrase));
  phrase.push_back(24);
  EXPECT_TRUE(ends(phrase));
  phrase.insert(phrase.end(), {20, 21});
  EXPECT_TRUE(ends(phrase));
  EXPECT_FALSE(ends({}));
}

}  // namespace
}  // namespace halftone
