// Tokens at their experts and back, against one token at a time; and who goes where, against
// transformers.
#include "model/experts.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "model/mixture_block.h"
#include "model/model.h"
#include "support/zoo.h"

namespace halftone {
namespace {

using ::halftone::testing::zoo_name;
using ::halftone::testing::ZooModel;

constexpr double kTolerance = 1e-4;  // of a tensor's largest magnitude, float32
constexpr int64_t kBatch = 2, kLength = 5, kExperts = 4, kPerToken = 2, kWidth = 3;

at::Tensor random_choice() {
  return chosen_experts(at::randn({kBatch, kLength, kExperts}), kPerToken);
}

TEST(Experts, TheGreatestScoresAreChosenBestFirst) {
  const at::Tensor scores = at::tensor({0.1, 0.9, -1., 0.5, 2., 0., 2., 1.}).view({1, 2, 4});
  const at::Tensor expected = at::tensor({1, 3, 0, 2}, at::kInt).view({1, 2, 2});
  EXPECT_TRUE(chosen_experts(scores, 2).equal(expected));  // of equal scores the first
}

TEST(Experts, WeightsAreTheirSharesOfAllExpertsOrOfThoseChosen) {
  const at::Tensor scores = at::tensor({1., 2., 4., 1.}).log().view({1, 1, 4});
  const at::Tensor chosen = chosen_experts(scores, 2);  // 2, 1
  EXPECT_TRUE(
      at::allclose(expert_weights(scores, chosen, false).flatten(), at::tensor({0.5, 0.25})));
  EXPECT_TRUE(
      at::allclose(expert_weights(scores, chosen, true).flatten(), at::tensor({2. / 3, 1. / 3})));
}

TEST(Experts, EachReadsTheRowsOfItsTokensInTheirOrder) {
  const at::Tensor chosen = random_choice(), x = at::randn({kBatch, kLength, kWidth}),
                   own = at::randn({kBatch, kLength, kPerToken * kWidth});
  const ExpertTokens tokens(chosen, kExperts);
  const std::vector<at::Tensor> rows = tokens.rows(), read = tokens.gather(x),
                                read_own = tokens.gather_own(own);
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    std::vector<at::Tensor> expected, expected_own;
    std::vector<int64_t> places;
    for (int64_t token = 0; token < kBatch * kLength; ++token)
      for (int64_t place = 0; place < kPerToken; ++place) {
        if (chosen.flatten(0, 1)[token][place].item<int64_t>() != expert) continue;
        places.push_back(token);
        expected.push_back(x.flatten(0, 1)[token]);
        expected_own.push_back(own.flatten(0, 1)[token].narrow(0, place * kWidth, kWidth));
      }
    const auto at = static_cast<size_t>(expert);
    ASSERT_EQ(rows[at].size(0), static_cast<int64_t>(places.size()));
    if (places.empty()) continue;
    EXPECT_TRUE(rows[at].equal(at::tensor(places)));
    EXPECT_TRUE(read[at].equal(at::stack(expected)));
    EXPECT_TRUE(read_own[at].equal(at::stack(expected_own)));
  }
}

TEST(Experts, WhatIsGivenBackIsWhereItCameFrom) {
  const at::Tensor own = at::randn({kBatch, kLength, kPerToken * kWidth});
  const ExpertTokens tokens(random_choice(), kExperts);
  EXPECT_TRUE(tokens.give_back(at::cat(tokens.gather_own(own))).flatten(2).equal(own));
}

TEST(Experts, OneWithoutTokensReadsNothing) {
  const ExpertTokens tokens(at::zeros({1, 3, 1}, at::kInt), 2);
  const std::vector<at::Tensor> read = tokens.gather(at::ones({1, 3, kWidth}));
  EXPECT_EQ(read[0].size(0), 3);
  EXPECT_EQ(read[1].sizes(), (at::IntArrayRef{0, kWidth}));
}

class GoldenMixtures : public ::testing::TestWithParam<ZooModel> {};

TEST_P(GoldenMixtures, TokensGoWhereTransformersSendsThem) {
  const at::NoGradGuard no_grad;
  HALFTONE_REQUIRE_SHARED("golden/zoo");
  const Model model(std::make_shared<const Checkpoint>(GetParam().folder()));
  const SafetensorsFile golden(GetParam().golden());
  const Execution execution{at::kCPU, at::kFloat, 1};
  for (const std::string window : {"w96", "w200"}) {
    const auto value = [&](const std::string& name) {
      return golden.view(*golden.find(window + "." + name));
    };
    const at::Tensor ids = value("ids");
    const Positions positions = model.positions(ids.size(0), execution);
    const Block block = model.load_block(0, execution, positions);
    BlockState state{model.embed(ids.unsqueeze(0), execution)};
    for (const int stage : {kGatedAttentionIn, kGatedAttentionOut})
      (void)model.advance(block, stage, model.inputs(block, stage, state), state);
    EXPECT_TRUE(state.experts[0].equal(value("router.topk"))) << window;
    // the router's scores are of what the dense block's MLP would read
    const at::Tensor x = gated_inputs(block, kGatedMlpIn, state).front().x[0];
    const at::Tensor scores =
        at::linear(x, block.tensors[static_cast<size_t>(block.layer.routing.router)]);
    const at::Tensor expected = value("router.logits");
    EXPECT_LT(((scores - expected).abs().max() / expected.abs().max()).item<double>(), kTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenMixtures, ::testing::ValuesIn(testing::zoo_mixtures()),
                         zoo_name);

// The states of a token are its own, whatever other tokens are computed with it.
TEST_P(GoldenMixtures, AnMlpBlockOneTokenAtATimeIsTheSame) {
  const at::NoGradGuard no_grad;
  HALFTONE_REQUIRE_SHARED("models/zoo");
  const Model model(std::make_shared<const Checkpoint>(GetParam().folder()));
  const Execution execution{at::kCPU, at::kDouble, 1};
  const Positions positions = model.positions(1, execution);
  const Block block = model.load_block(1, execution, positions);
  const at::Tensor hidden = at::randn({6, 1, model.config().hidden}, at::kDouble);
  BlockState all{hidden};
  model.run_block(block, all);
  for (int64_t token = 0; token < 6; ++token) {
    BlockState one{hidden.narrow(0, token, 1)};
    model.run_block(block, one);
    EXPECT_TRUE(at::allclose(one.hidden, all.hidden.narrow(0, token, 1), 1e-10, 1e-12));
  }
}

}  // namespace
}  // namespace halftone
