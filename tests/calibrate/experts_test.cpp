// Statistics of a mixture's experts: of the tokens that each is sent, with one stream and with two,
// and of gradients; against sums token by token.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "calibrate/calibration.h"
#include "calibrate/demo_model.h"
#include "calibrate/expert_pool.h"
#include "calibrate/token_rows.h"
#include "model/gated_block.h"

namespace halftone {
namespace {

using ::halftone::testing::relative_error;

constexpr double kRounding = 1e-5;  // float32 sums in another order
constexpr int64_t kSequences = 3, kLength = 8, kVocab = 40;
const Execution kFloat32{at::kCPU, at::kFloat, 2};

// A mixture of two blocks with a shared expert, and normal numbers for weights; the last expert is
// one that no token goes to, where its router says so.
class Invented final : public WeightSource {
 public:
  explicit Invented(bool last_is_used = true) {
    config_ = {{"architectures", {"Qwen2MoeForCausalLM"}},
               {"num_hidden_layers", 2},
               {"hidden_size", 16},
               {"vocab_size", kVocab},
               {"num_attention_heads", 2},
               {"num_key_value_heads", 2},
               {"num_experts", 4},
               {"num_experts_per_tok", 2},
               {"moe_intermediate_size", 12},
               {"shared_expert_intermediate_size", 20},
               {"tie_word_embeddings", false}};
    const Family& family = find_family("Qwen2MoeForCausalLM");
    at::manual_seed(7);
    for (const NamedTensor& tensor : tensors_of(family, family.parse_config(config_))) {
      if (!is_present(tensor.presence, family.parse_config(config_))) continue;
      const at::Tensor numbers = at::randn(tensor.shape, at::kDouble) * 0.3;
      tensors_[tensor.name] = tensor.rotation == Rotation::kNorm ? numbers.abs() + 1 : numbers;
    }
    if (last_is_used) return;
    // a feature that is 1 or so everywhere keeps tokens away from the last expert
    at::Tensor& embedding = tensors_["model.embed_tokens.weight"];
    embedding.select(1, 0).fill_(4);
    for (const int layer : {0, 1})
      tensors_[fmt::format("model.layers.{}.mlp.gate.weight", layer)][3][0] = -100;
  }
  const nlohmann::json& config() const override { return config_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, unused] : tensors_) names.push_back(name);
    return names;
  }
  bool contains(std::string_view name) const override { return tensors_.contains(name); }
  WeightInfo info(std::string_view name) const override {
    return {load(name).sizes().vec(), at::kDouble};
  }
  at::Tensor load(std::string_view name) const override { return tensors_.find(name)->second; }
  void release(std::string_view) const override {}

 private:
  nlohmann::json config_;
  std::map<std::string, at::Tensor, std::less<>> tensors_;
};

Model invented(bool last_is_used = true) {
  return Model(std::make_shared<const Invented>(last_is_used));
}

at::Tensor ids() {
  return at::arange(kSequences * kLength, at::kInt).remainder(kVocab).view({kSequences, kLength});
}

CalibrationOptions options_for(ObjectiveKind kind, double pool = 0) {
  CalibrationOptions options;
  ObjectiveOptions objective;
  objective.kind = kind;
  options.objective = [objective](const LinearSlot&) { return objective; };
  options.model.pool = pool;
  options.storage = at::kFloat;
  options.spill_folder = std::filesystem::temp_directory_path();
  return options;
}

using Change = std::function<void(Calibration& calibration, const LinearSlot& linear)>;

// Statistics of all linears.
std::map<std::string, LinearStatistics> calibrate(
    const Model& model, const CalibrationOptions& options,
    const Change& change = [](Calibration&, const LinearSlot&) {}) {
  SilentProgress progress;
  Calibration calibration(model, ids(), kFloat32, options, progress);
  std::map<std::string, LinearStatistics> all;
  for (int64_t index = 0; index < model.config().layers; ++index) {
    calibration.enter(index);
    for (int stage = 0; stage < model.family().stages; ++stage) {
      const StageStatistics statistics = calibration.measure(stage);
      for (const LinearSlot& linear : model.linears_of_stage(index, stage)) {
        all[linear.name] = statistics.of(linear);
        change(calibration, linear);
      }
    }
    calibration.leave();
  }
  return all;
}

// What every linear of a block reads of each token, the others' rows undefined; in float64.
struct Read {
  std::vector<at::Tensor> x;     // of each linear, (sequences * length, in)
  std::vector<at::Tensor> sent;  // (sequences * length) bool
};
Read read_by_token(const Model& model, const Block& block, const at::Tensor& hidden) {
  const at::NoGradGuard no_grad;
  Read all;
  BlockState state{hidden};
  for (int stage = 0; stage < model.family().stages; ++stage) {
    const std::vector<StageInput> inputs = model.inputs(block, stage, state);
    for (const LinearSlot& slot : model.linears_of_stage(block.index, stage)) {
      const StageInput& input = inputs[slot.input];
      const TokenRows rows(input.rows, kLength);
      all.x.push_back(rows.spread(input.x, kSequences).flatten(0, 1));
      all.sent.push_back(
          rows.spread(at::ones_like(input.x.narrow(-1, 0, 1)), kSequences).flatten().ne(0));
    }
    (void)model.advance(block, stage, inputs, state);
  }
  return all;
}

TEST(Experts, HaveTheHessiansOfTheTokensThatAreSentToThem) {
  const Model model = invented();
  const auto found = calibrate(model, options_for(ObjectiveKind::kInput));
  const Positions positions = model.positions(kLength, kFloat32);
  const Block block = model.load_block(0, kFloat32, positions);
  const Read read = read_by_token(model, block, model.embed(ids(), kFloat32));
  int64_t tokens = 0;
  for (const LinearSlot& slot : model.linears_of_block(0)) {
    const LinearStatistics& own = found.at(slot.name);
    const at::Tensor x = read.x[slot.index];
    const auto sent = read.sent[slot.index].sum().item<int64_t>();
    EXPECT_LT(relative_error(own.hessian, x.t().mm(x)), kRounding) << slot.name;
    EXPECT_EQ(own.tokens, sent) << slot.name;
    if (slot.relative.ends_with("down_proj") && slot.expert >= 0) tokens += sent;
  }
  EXPECT_EQ(tokens, 2 * kSequences * kLength);
}

TEST(Experts, TwoStreamsPairTheTokensThatTheFullPrecisionModelSends) {
  const Model model = invented();
  CalibrationOptions options = options_for(ObjectiveKind::kInput);
  options.two_streams = true;
  // o_proj of the first block is halved, which sends many tokens elsewhere
  const Positions positions = model.positions(kLength, kFloat32);
  const Block original = model.load_block(0, kFloat32, positions);
  Block halved = original;
  const LinearSlot o = model.linears_of_block(0)[3];
  ASSERT_EQ(o.relative, "self_attn.o_proj");
  halved.linears[o.index].weight = original.linears[o.index].weight * -2;
  const auto found = calibrate(model, options, [&](Calibration& calibration, const LinearSlot& of) {
    if (of.name == o.name) calibration.replace(of, halved.linears[o.index].weight);
  });
  const at::NoGradGuard no_grad;
  BlockState full{model.embed(ids(), kFloat32)}, other = full;
  for (const int stage : {kGatedAttentionIn, kGatedAttentionOut}) {
    (void)model.advance(original, stage, model.inputs(original, stage, full), full);
    (void)model.advance(halved, stage, model.inputs(halved, stage, other), other);
  }
  EXPECT_FALSE(full.experts.equal(other.experts));
  other.experts = full.experts;
  for (const int stage : {kGatedMlpIn, kGatedMlpOut}) {
    const auto x = model.inputs(halved, stage, other), xf = model.inputs(original, stage, full);
    for (const LinearSlot& slot : model.linears_of_stage(0, stage)) {
      const at::Tensor a = x[slot.input].x.reshape({-1, slot.in}),
                       b = xf[slot.input].x.reshape({-1, slot.in});
      const LinearStatistics& own = found.at(slot.name);
      EXPECT_LT(relative_error(own.hessian, a.t().mm(a)), kRounding) << slot.name;
      EXPECT_LT(relative_error(own.cross_moment, (b - a).t().mm(a)), kRounding) << slot.name;
    }
    (void)model.advance(halved, stage, x, other);
    (void)model.advance(original, stage, xf, full);
  }
}

// An output Hessian is the sum of G^T G with G the gradient of a sequence's loss at the weight,
// whatever tokens went into it: autograd says what it is.
TEST(Experts, OutputHessiansAreThoseOfTheGradientsOfTheirWeights) {
  const Model model = invented();
  const auto found = calibrate(model, options_for(ObjectiveKind::kOac));
  const Positions positions = model.positions(kLength, kFloat32);
  std::vector<Block> blocks;
  for (const int64_t i : {0, 1}) blocks.push_back(model.load_block(i, kFloat32, positions));
  const Head head = model.load_head(kFloat32);
  for (const LinearSlot& slot : model.linears_of_block(0)) {
    at::Tensor& weight = blocks[0].linears[slot.index].weight;
    weight.set_requires_grad(true);
    at::Tensor expected = at::zeros({slot.in, slot.in});
    for (int64_t sequence = 0; sequence < kSequences; ++sequence) {
      const at::Tensor own = ids().narrow(0, sequence, 1);
      BlockState state{model.embed(own, kFloat32)};
      for (const Block& block : blocks) model.run_block(block, state);
      const at::Tensor logits = model.logits(head, state.hidden)[0].narrow(0, 0, kLength - 1);
      const at::Tensor loss = at::cross_entropy_loss(
          logits, own[0].narrow(0, 1, kLength - 1).to(at::kLong), {}, at::Reduction::Sum);
      weight.mutable_grad() = at::Tensor();
      loss.backward();
      if (weight.grad().defined()) expected += weight.grad().t().mm(weight.grad());
    }
    weight.set_requires_grad(false);
    EXPECT_LT(relative_error(found.at(slot.name).hessian, expected), 1e-4) << slot.name;
  }
}

TEST(Experts, GuidedHessiansWeighTheTokensThatAreSent) {
  const Model model = invented();
  const auto found = calibrate(model, options_for(ObjectiveKind::kGuided));
  for (const auto& [name, own] : found) {
    EXPECT_TRUE(own.fallback.empty()) << name;
    // sum of squared gradients: the trace of X^T diag(s) X, with s the mean over outputs
    const double trace = own.hessian.diagonal().sum(at::kDouble).item<double>();
    EXPECT_NEAR(trace, own.row_energies.mean().item<double>(), 1e-4 * trace) << name;
  }
}

TEST(Experts, GradientsEqualFiniteDifferences) {
  const Model model = invented();
  const Execution exact{at::kCPU, at::kDouble, 1};
  const Positions positions = model.positions(kLength, exact);
  const Block block = model.load_block(0, exact, positions);
  const at::Tensor hidden = model.embed(ids(), exact), direction = at::randn_like(hidden);
  const BlockGradient found = differentiate_block(model, block, hidden, direction, {});
  const at::NoGradGuard no_grad;
  const auto value_at = [&](const Block& of, const at::Tensor& x) {
    BlockState state{x};
    model.run_block(of, state);
    return (state.hidden * direction).sum().item<double>();
  };
  constexpr double kStep = 1e-6;
  const at::Tensor step = at::randn_like(hidden);
  const double slope =
      (value_at(block, hidden + step * kStep) - value_at(block, hidden - step * kStep)) /
      (2 * kStep);
  EXPECT_NEAR((found.hidden * step).sum().item<double>(), slope, 1e-6 * std::abs(slope) + 1e-6);
  for (const LinearSlot& slot : model.linears_of_block(0)) {
    const LinearGradient& linear = found.linears[slot.index];
    const at::Tensor gradient =
        linear.delta.reshape({-1, slot.out}).t().mm(linear.input.reshape({-1, slot.in}));
    const at::Tensor move = at::randn({slot.out, slot.in}, at::kDouble);
    const auto moved = [&](double by) {
      Block changed = block;
      changed.linears[slot.index].weight = block.linears[slot.index].weight + move * by;
      return value_at(changed, hidden);
    };
    const double along = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    EXPECT_NEAR((gradient * move).sum().item<double>(), along, 1e-6 * std::abs(along) + 1e-6)
        << slot.name;
  }
}

TEST(Experts, OneWithoutTokensRoundsToNearestOnTheDiagonalOfTheOthers) {
  const Model model = invented(/*last_is_used=*/false);
  for (const ObjectiveKind kind : {ObjectiveKind::kInput, ObjectiveKind::kOac,
                                   ObjectiveKind::kGuided, ObjectiveKind::kDiagonal}) {
    const auto found = calibrate(model, options_for(kind));
    for (const LinearSlot& slot : model.linears_of_block(0)) {
      const LinearStatistics& own = found.at(slot.name);
      if (slot.expert < 0) continue;
      EXPECT_EQ(own.tokens > 0, slot.expert != 3) << slot.name;
      if (slot.expert != 3) continue;
      EXPECT_NE(own.fallback.find("no token"), std::string::npos);
      EXPECT_GT(own.hessian.diagonal().min().item<float>(), 0);
      EXPECT_TRUE(own.hessian.equal(at::diag(own.hessian.diagonal())));
    }
  }
}

TEST(Experts, ASequenceIsLeftOutOfTheExpertsThatItOverflowsIn) {
  const at::Tensor x = at::ones({3, 2}), rows = at::tensor({1, 3, 5}, at::kLong);
  Sequences sequences(at::zeros({3, 2}, at::kInt), 6);
  x[1].fill_(std::numeric_limits<float>::infinity());
  InputSums sums(2, {{}, {at::tensor({1., 2., 3., 4., 5., 6.}, at::kFloat).view({1, 3, 2})}}, false,
                 sequences, at::kCPU);
  sums.add({0, 3}, {x, rows}, {});
  const std::vector<LinearStatistics> found = sums.finish();
  EXPECT_TRUE(found[0].hessian.equal(at::full({2, 2}, 2.F)));
  EXPECT_TRUE(at::allclose(found[1].hessian, at::full({2, 2}, 8.F)));  // tokens 1 and 5 of 2 and 6
  EXPECT_EQ(found[0].tokens, 2);
  EXPECT_EQ(sequences.left_out(), 1);
}

// The gates of two experts and one linear beside them.
struct Pool {
  std::vector<LinearSlot> linears = {
      {.name = "shared", .relative = "shared", .input = 0},
      {.name = "e.0.gate", .relative = "e.0.gate", .input = 1, .expert = 0},
      {.name = "e.0.up", .relative = "e.0.up", .input = 1, .expert = 0},
      {.name = "e.1.gate", .relative = "e.1.gate", .input = 2, .expert = 1},
      {.name = "e.1.up", .relative = "e.1.up", .input = 2, .expert = 1}};
  at::Tensor first = at::eye(2) * 6 + 1, second = at::ones({2, 2});
};

TEST(ExpertPool, ThinHessiansTakeAShareOfTheMeanOfAll) {
  const Pool pool;
  StageStatistics statistics;
  statistics.inputs = {{at::eye(2), 100}, {pool.first, 6}, {pool.second, 2}};
  pool_experts(pool.linears, 4, statistics);
  EXPECT_TRUE(statistics.inputs[0].hessian.equal(at::eye(2)));
  const at::Tensor mean = (pool.first + pool.second) / 8;
  EXPECT_TRUE(at::allclose(statistics.inputs[1].hessian, pool.first + mean * 8));
  EXPECT_TRUE(at::allclose(statistics.inputs[2].hessian, pool.second + mean * 8));
  pool_experts(pool.linears, 0, statistics);
  EXPECT_TRUE(at::allclose(statistics.inputs[2].hessian, pool.second + mean * 8));
}

TEST(ExpertPool, WhatLinearsHaveOfTheirOwnIsPooledByTheirNames) {
  const Pool pool;
  StageStatistics statistics;
  statistics.inputs.resize(3);
  statistics.linears["e.0.gate"] = {pool.first, 3, pool.second};
  statistics.linears["e.1.gate"] = {pool.second, 1, pool.first};
  statistics.linears["e.0.up"] = {pool.second, 3};
  statistics.linears["e.1.up"] = {pool.first * 5, 1};
  statistics.linears["e.1.up"].fallback = "another objective";
  pool_experts(pool.linears, 1, statistics);
  const at::Tensor mean = (pool.first + pool.second) / 4;
  EXPECT_TRUE(at::allclose(statistics.linears["e.0.gate"].hessian, pool.first + mean * 2));
  EXPECT_TRUE(at::allclose(statistics.linears["e.1.gate"].cross_moment, pool.first + mean * 2));
  EXPECT_TRUE(at::allclose(statistics.linears["e.1.up"].hessian, pool.first * 5));  // stays
}

TEST(TokenRows, SpreadToTheirPlaces) {
  const TokenRows rows(at::tensor({0, 5}, at::kLong), 3);
  const at::Tensor x = at::randn({2, 4}), spread = rows.spread(x, 2);
  EXPECT_EQ(spread.sizes(), (at::IntArrayRef{2, 3, 4}));
  EXPECT_TRUE(spread[0][0].equal(x[0]));
  EXPECT_TRUE(spread[1][2].equal(x[1]));
  EXPECT_EQ(spread.ne(0).sum().item<int64_t>(), 8);
  EXPECT_TRUE(rows.sequences().equal(at::tensor({0, 1}, at::kLong)));
}

}  // namespace
}  // namespace halftone
