// Tokens computed one by one behind a cache against the forward pass over all of them at once.
#include "model/held_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "support/zoo.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::test_data;
using ::halftone::testing::zoo_models;
using ::halftone::testing::zoo_name;
using ::halftone::testing::ZooModel;

// Of the largest logit, float32: sums are taken in another order.
constexpr double kTolerance = 1e-4;
constexpr int64_t kTokens = 150, kPrompt = 61;  // the windows of the zoo have 64 tokens
const Execution kExecution{at::kCPU, at::kFloat, 1};

Model open(const fs::path& folder) {
  return Model(std::make_shared<const Checkpoint>(folder));
}

std::vector<int32_t> tokens_for(const Model& model, int64_t count, int64_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>((seed + i * i * 7 + i * 3) % model.config().vocab));
  return ids;
}

// -> (length, vocab), without a cache
at::Tensor all_logits(const Model& model, const std::vector<int32_t>& ids) {
  const at::NoGradGuard no_grad;
  const Positions positions = model.positions(static_cast<int64_t>(ids.size()), kExecution);
  BlockState state{model.embed(at::tensor(ids, at::kInt).unsqueeze(0), kExecution)};
  for (int64_t i = 0; i < model.config().layers; ++i)
    model.run_block(model.load_block(i, kExecution, positions), state);
  return model.logits(model.load_head(kExecution), state.hidden)[0];
}

void expect_same(const at::Tensor& found, const at::Tensor& expected, int64_t at) {
  const double scale = expected.abs().max().item<double>();
  EXPECT_LT((found - expected).abs().max().item<double>(), kTolerance * scale) << "token " << at;
  EXPECT_EQ(found.argmax().item<int64_t>(), expected.argmax().item<int64_t>()) << "token " << at;
}

// The first `prompt` tokens at once, then two at once, then one after another.
void expect_same_token_by_token(const Model& model, int64_t count, int64_t prompt) {
  const std::vector<int32_t> ids = tokens_for(model, count, 5);
  const at::Tensor expected = all_logits(model, ids);
  HeldModel held(model, kExecution);
  CachedSequence sequence;
  const auto run_to = [&](int64_t end) {
    sequence.ids.assign(ids.begin(), ids.begin() + end);
    const at::Tensor found = held.next_logits({&sequence});
    ASSERT_EQ(found.sizes(), at::IntArrayRef({1, model.config().vocab}));
    expect_same(found[0], expected[end - 1], end - 1);
  };
  run_to(prompt);
  for (int64_t end = prompt + 2; end <= count; ++end) run_to(end);
  EXPECT_EQ(sequence.cached(), count);
}

TEST(HeldModel, TokensBehindACacheAreThoseOfTheWholeForward) {
  expect_same_token_by_token(open(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K"), kTokens,
                             kPrompt);
}

TEST(HeldModel, WindowsOfSomeLayersAreKept) {
  expect_same_token_by_token(open(test_data("forward/qwen2")), 24, 4);
}

TEST(HeldModel, LayersWithoutRotaryEmbeddingsAreKept) {
  expect_same_token_by_token(open(test_data("forward/smollm3")), 24, 4);
}

TEST(HeldModel, SinksAreKept) {
  expect_same_token_by_token(open(test_data("forward/mixtures/gpt_oss")), 24, 4);
}

std::vector<int32_t> part_of(const std::vector<int32_t>& ids, int64_t end) {
  return {ids.begin(), ids.begin() + end};
}

void expect_same_across_original_context(const Model& model) {
  const std::vector<int32_t> ids = tokens_for(model, 24, 5);
  HeldModel held(model, kExecution);
  CachedSequence sequence;
  for (int64_t end = 9; end <= 24; ++end) {
    sequence.ids = part_of(ids, end);
    const at::Tensor found = held.next_logits({&sequence});
    expect_same(found[0], all_logits(model, sequence.ids)[end - 1], end - 1);
  }
}

TEST(HeldModel, BehindTheOriginalContextOfLongRopeAllTokensAreTurnedAnew) {
  expect_same_across_original_context(open(test_data("forward/phi3_longrope")));
}

TEST(HeldModel, APartOfAHeadIsTurnedAnewAsAWholeOneIs) {
  expect_same_across_original_context(open(test_data("forward/phi3/phi4_mini")));
}

class GoldenHeldModel : public ::testing::TestWithParam<ZooModel> {
 protected:
  void SetUp() override { HALFTONE_REQUIRE_SHARED("models/zoo"); }
};

TEST_P(GoldenHeldModel, TokensBehindACacheAreThoseOfTheWholeForward) {
  expect_same_token_by_token(open(GetParam().folder()), kTokens, kPrompt);
}

// Three sequences of different lengths, of which one joins later.
TEST_P(GoldenHeldModel, SequencesInOneRowAreNothingToEachOther) {
  const Model model = open(GetParam().folder());
  std::vector<std::vector<int32_t>> ids;
  std::vector<at::Tensor> expected;
  for (const int64_t seed : {2, 11, 30}) {
    ids.push_back(tokens_for(model, 40 + 30 * seed / 2 % 60, seed));
    expected.push_back(all_logits(model, ids.back()));
  }
  HeldModel held(model, kExecution);
  std::vector<CachedSequence> sequences(3);
  const auto run = [&](std::vector<std::pair<size_t, int64_t>> ends) {
    std::vector<CachedSequence*> row;
    for (const auto& [index, end] : ends) {
      sequences[index].ids = part_of(ids[index], end);
      row.push_back(&sequences[index]);
    }
    const at::Tensor found = held.next_logits(row);
    for (size_t i = 0; i < ends.size(); ++i)
      expect_same(found[static_cast<int64_t>(i)], expected[ends[i].first][ends[i].second - 1],
                  ends[i].second - 1);
  };
  run({{0, 20}, {1, 35}});
  run({{0, 21}, {1, 36}});
  run({{0, 22}, {2, 30}, {1, 37}});
  run({{2, 31}, {1, 39}, {0, 23}});
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenHeldModel, ::testing::ValuesIn(zoo_models()), zoo_name);

TEST(KeyValueCache, KeepsWhatItHadAsItGrows) {
  KeyValueCache cache;
  std::vector<at::Tensor> all;
  for (const int64_t tokens : {3, 1, 100, 1, 1, 300}) {
    all.push_back(at::randn({1, 2, tokens, 4}));
    const KeysAndValues kept = cache.append(all.back(), all.back().neg());
    EXPECT_TRUE(at::equal(kept.keys, at::cat(all, 2)));
    EXPECT_TRUE(at::equal(kept.values, at::cat(all, 2).neg()));
  }
  EXPECT_EQ(cache.length(), 406);
}

}  // namespace
}  // namespace halftone
