#include "evaluate/score_requests.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <random>

#include "checkpoint/checkpoint.h"
#include "evaluate/logits.h"
#include "support/fixtures.h"
#include "support/zoo.h"

namespace halftone {
namespace {

using ::halftone::testing::zoo_models;
using ::halftone::testing::zoo_name;
using ::halftone::testing::ZooModel;

constexpr double kTolerance = 1e-3;  // float32, nats a continuation of up to 20 tokens
const Execution kExecution{at::kCPU, at::kFloat, 1};

Model open_model_at(const std::filesystem::path& folder) {
  return Model(std::make_shared<const Checkpoint>(folder));
}

// One request alone, without packing: the whole sequence through every block, then the definition.
LogLikelihood score_alone(const Model& model, const TokenRequest& request) {
  const at::NoGradGuard no_grad;
  std::vector<TokenId> ids = request.context;
  ids.insert(ids.end(), request.continuation.begin(), request.continuation.end());
  const auto length = static_cast<int64_t>(ids.size()) - 1;
  const Positions positions = model.positions(length, kExecution);
  BlockState state{
      model.embed(at::tensor(ids, at::kInt).narrow(0, 0, length).unsqueeze(0), kExecution)};
  for (int64_t i = 0; i < model.config().layers; ++i)
    model.run_block(model.load_block(i, kExecution, positions), state);
  const at::Tensor log_p = at::log_softmax(
      model.logits(model.load_head(kExecution), state.hidden[0]).to(at::kDouble), -1);
  LogLikelihood sum;
  for (auto at = static_cast<int64_t>(request.context.size()); at <= length; ++at) {
    const int64_t target = ids[static_cast<size_t>(at)];
    sum.value += log_p[at - 1][target].item<double>();
    sum.is_greedy = sum.is_greedy && log_p[at - 1].argmax().item<int64_t>() == target;
  }
  return sum;
}

// Groups of requests that share much, little, all or nothing.
std::vector<RequestGroup> drawn_groups(int64_t vocab) {
  std::mt19937 random(5);
  const auto draw = [&](int count) {
    std::vector<TokenId> ids;
    for (int i = 0; i < count; ++i)
      ids.push_back(static_cast<TokenId>(random() % static_cast<uint32_t>(vocab)));
    return ids;
  };
  std::vector<RequestGroup> groups;
  for (const int context : {1, 7, 40}) {
    const std::vector<TokenId> shared = draw(context);
    RequestGroup& group = groups.emplace_back();
    for (const int length : {1, 3, 20, 1}) group.push_back({shared, draw(length)});
    group.push_back(group[2]);  // the same once more
    group.push_back({shared, {group[2].continuation.begin(), group[2].continuation.begin() + 9}});
  }
  groups.push_back({{draw(9), draw(2)}, {draw(5), draw(4)}});  // nothing in common
  groups.push_back({{draw(30), draw(5)}});                     // alone
  return groups;
}

void expect_equal_to_alone(const Model& model) {
  const std::vector<RequestGroup> groups = drawn_groups(model.config().vocab);
  std::vector<int64_t> blocks;
  const auto scores = RequestScorer(model, kExecution).score(groups, [&](int64_t block) {
    blocks.push_back(block);
  });
  EXPECT_EQ(static_cast<int64_t>(blocks.size()), model.config().layers);
  ASSERT_EQ(scores.size(), groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    ASSERT_EQ(scores[g].size(), groups[g].size());
    for (size_t i = 0; i < groups[g].size(); ++i) {
      const LogLikelihood alone = score_alone(model, groups[g][i]);
      EXPECT_NEAR(scores[g][i].value, alone.value, kTolerance) << g << " " << i;
      EXPECT_EQ(scores[g][i].is_greedy, alone.is_greedy) << g << " " << i;
    }
  }
}

TEST(ScoreRequests, EqualsEveryRequestAlone) {
  expect_equal_to_alone(
      open_model_at(std::filesystem::path(HALFTONE_SOURCE_DIR) / "examples/stories260K"));
}

TEST(ScoreRequests, WhatAGroupSharesIsInTheRowOnce) {
  const RequestGroup group = {{{1, 2, 3}, {4, 5}}, {{1, 2, 3}, {4, 6, 7}}, {{1, 2, 3}, {8}}};
  // 1 2 3 | 4 | 4 6 | (nothing: the last token is only predicted)
  EXPECT_EQ(tokens_in_row(group), 3 + 1 + 2);
  EXPECT_EQ(longest_input(group), 5);
}

TEST(ScoreRequests, RoundsHoldOneGroupAtLeastAndFewEnoughTokens) {
  const Model model =
      open_model_at(std::filesystem::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  const RequestScorer scorer(model, kExecution);
  const RequestGroup small = {{std::vector<TokenId>(1000, 1), {2}}};
  EXPECT_EQ(scorer.groups_in_round(std::vector<RequestGroup>(100, small)), 16u);  // of 16384 tokens
  EXPECT_EQ(scorer.groups_in_round({}), 0u);
  const RequestGroup large = {{std::vector<TokenId>(20000, 1), {2}}};
  EXPECT_EQ(scorer.groups_in_round(std::vector<RequestGroup>(2, large)), 1u);
}

TEST(ScoreTargets, AgreeOnEveryPath) {
  const at::Tensor logits = at::randn({7, 33}) * 3;
  const at::Tensor targets = at::cat({logits.argmax(-1).narrow(0, 0, 3), at::arange(4)});
  const auto fused = score_targets(logits, targets);
  const auto separate = score_targets(logits.to(at::kDouble), targets);
  const at::Tensor log_p = at::log_softmax(logits.to(at::kDouble), -1);
  for (int64_t i = 0; i < 7; ++i) {
    const auto at = static_cast<size_t>(i);
    const double expected = log_p[i][targets[i].item<int64_t>()].item<double>();
    EXPECT_NEAR(fused[at].log_probability, expected, 1e-5);
    EXPECT_NEAR(separate[at].log_probability, expected, 1e-12);
    EXPECT_EQ(fused[at].is_greatest, separate[at].is_greatest);
    EXPECT_TRUE(fused[at].is_greatest || i >= 3);
  }
}

class GoldenZooRequests : public ::testing::TestWithParam<ZooModel> {};
INSTANTIATE_TEST_SUITE_P(Families, GoldenZooRequests, ::testing::ValuesIn(zoo_models()), zoo_name);

TEST_P(GoldenZooRequests, EqualEveryRequestAlone) {
  if (!std::filesystem::exists(GetParam().folder())) GTEST_SKIP() << "shared data not here";
  expect_equal_to_alone(open_model_at(GetParam().folder()));
}

}  // namespace
}  // namespace halftone
