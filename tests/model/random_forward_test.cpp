// The forward pass in configurations that no model of the zoo has, against values of transformers
// (tests/data/forward: layer_norm, mixtures, phi3).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::test_data;

constexpr double kTolerance = 1e-5;  // of a tensor's largest magnitude, float32

// A folder of tests/data/forward, and its file of values where that has another name.
struct RandomModel {
  RandomModel(const char* name) : folder(name), values(name) {}
  RandomModel(const char* name, const char* other) : folder(name), values(other) {}
  std::string folder, values;
};

std::ostream& operator<<(std::ostream& out, const RandomModel& model) {
  return out << model.folder << ", " << model.values;
}

class RandomForward : public ::testing::TestWithParam<RandomModel> {};

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

TEST_P(RandomForward, EqualsTransformers) {
  const at::NoGradGuard no_grad;
  const Model model(std::make_shared<const Checkpoint>(test_data("forward") / GetParam().folder));
  const SafetensorsFile golden(test_data("forward") / (GetParam().values + ".safetensors"));
  const auto value = [&](const std::string& name) { return golden.view(*golden.find(name)); };
  const Execution execution{at::kCPU, at::kFloat, 1};
  const at::Tensor ids = value("ids");
  const Positions positions = model.positions(ids.size(1), execution);
  BlockState state{model.embed(ids, execution)};
  EXPECT_LT(relative_difference(state.hidden, value("hidden_0")), kTolerance);
  for (int64_t i = 0; i < model.config().layers; ++i) {
    const Block block = model.load_block(i, execution, positions);
    const std::string chosen = fmt::format("experts_{}", i), name = fmt::format("hidden_{}", i + 1);
    for (int stage = 0; stage < model.family().stages; ++stage) {
      (void)model.advance(block, stage, model.inputs(block, stage, state), state);
      if (state.experts.defined() && golden.find(chosen) != nullptr) {
        EXPECT_TRUE(state.experts.equal(value(chosen))) << chosen;
      }
    }
    EXPECT_LT(relative_difference(state.hidden, value(name)), kTolerance) << name;
  }
  const at::Tensor logits = model.logits(model.load_head(execution), state.hidden);
  EXPECT_LT(relative_difference(logits, value("logits")), kTolerance);
}

// The model's own name, of "layer_norm/opt_post_norm", and that of its values.
std::string model_name(const ::testing::TestParamInfo<RandomModel>& test) {
  const RandomModel& model = test.param;
  const auto last = [](const std::string& path) {
    return std::filesystem::path(path).filename().string();
  };
  const std::string name = last(model.folder);
  return model.values == model.folder ? name : name + "_as_" + last(model.values);
}

INSTANTIATE_TEST_SUITE_P(LayerNorm, RandomForward,
                         ::testing::Values("layer_norm/opt_post_norm", "layer_norm/opt_no_bias",
                                           "layer_norm/gpt_neox_sequential",
                                           "layer_norm/falcon_new", "layer_norm/falcon_multi_head",
                                           "layer_norm/phi_grouped", "layer_norm/gpt2_inner",
                                           "layer_norm/starcoder2_no_bias"),
                         model_name);
INSTANTIATE_TEST_SUITE_P(
    Mixtures, RandomForward,
    ::testing::Values("mixtures/mixtral_window_tied", "mixtures/qwen2_moe_dense_between",
                      "mixtures/qwen3_moe_dense_first", "mixtures/gpt_oss",
                      RandomModel("mixtures/gpt_oss_mxfp4", "mixtures/gpt_oss")),
    model_name);
// Up to the original context of its LongRoPE, and beyond it.
INSTANTIATE_TEST_SUITE_P(Phi3, RandomForward,
                         ::testing::Values(RandomModel("phi3/phi4_mini", "phi3/phi4_mini_short"),
                                           "phi3/phi4_mini"),
                         model_name);

// All blocks of GPT-OSS and its head, in float64: sinks and clamps included.
TEST(GptOss, GradientsEqualFiniteDifferences) {
  const Model model(std::make_shared<const Checkpoint>(test_data("forward") / "mixtures/gpt_oss"));
  const Execution execution{at::kCPU, at::kDouble, 1};
  const Positions positions = model.positions(12, execution);
  const Head head = model.load_head(execution);
  std::vector<Block> blocks;
  for (int64_t i = 0; i < model.config().layers; ++i)
    blocks.push_back(model.load_block(i, execution, positions));
  const at::Tensor direction = at::randn({1, 12, model.config().vocab}, at::kDouble);
  const auto value = [&](const at::Tensor& x) {
    BlockState state{x};
    for (const Block& block : blocks) model.run_block(block, state);
    return (model.logits(head, state.hidden) * direction).sum();
  };
  const at::Tensor x = at::randn({1, 12, model.config().hidden}, at::kDouble);
  const at::Tensor step = at::randn_like(x);
  const at::Tensor leaf = x.clone().set_requires_grad(true);
  const at::Tensor gradient = torch::autograd::grad({value(leaf)}, {leaf})[0];
  const at::NoGradGuard no_grad;
  constexpr double kStep = 1e-7;
  const double slope =
      ((value(x + kStep * step) - value(x - kStep * step)) / (2 * kStep)).item<double>();
  EXPECT_NEAR((gradient * step).sum().item<double>(), slope, 1e-6 * std::abs(slope));
}

}  // namespace
}  // namespace halftone
