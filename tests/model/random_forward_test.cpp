// The forward pass in configurations that no model of the zoo has, against values of transformers
// (tests/data/forward: layer_norm, mixtures).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::test_data;

constexpr double kTolerance = 1e-5;  // of a tensor's largest magnitude, float32

class RandomForward : public ::testing::TestWithParam<const char*> {};

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

TEST_P(RandomForward, EqualsTransformers) {
  const at::NoGradGuard no_grad;
  const auto folder = test_data("forward") / GetParam();
  const Model model(std::make_shared<const Checkpoint>(folder));
  const SafetensorsFile golden(folder.string() + ".safetensors");
  const auto value = [&](const std::string& name) { return golden.view(*golden.find(name)); };
  const Execution execution{at::kCPU, at::kFloat, 1};
  const at::Tensor ids = value("ids");
  const Positions positions = model.positions(ids.size(1), execution);
  BlockState state{model.embed(ids, execution)};
  for (int64_t i = 0; i <= model.config().layers; ++i) {
    const std::string name = fmt::format("hidden_{}", i);
    EXPECT_LT(relative_difference(state.hidden, value(name)), kTolerance) << name;
    if (i < model.config().layers)
      model.run_block(model.load_block(i, execution, positions), state);
  }
  const at::Tensor logits = model.logits(model.load_head(execution), state.hidden);
  EXPECT_LT(relative_difference(logits, value("logits")), kTolerance);
}

// The model's own name, of "layer_norm/opt_post_norm".
std::string model_name(const ::testing::TestParamInfo<const char*>& test) {
  return std::filesystem::path(test.param).filename();
}

INSTANTIATE_TEST_SUITE_P(LayerNorm, RandomForward,
                         ::testing::Values("layer_norm/opt_post_norm", "layer_norm/opt_no_bias",
                                           "layer_norm/gpt_neox_sequential",
                                           "layer_norm/falcon_new", "layer_norm/falcon_multi_head",
                                           "layer_norm/phi_grouped", "layer_norm/gpt2_inner",
                                           "layer_norm/starcoder2_no_bias"),
                         model_name);
INSTANTIATE_TEST_SUITE_P(Mixtures, RandomForward,
                         ::testing::Values("mixtures/mixtral_window_tied",
                                           "mixtures/qwen2_moe_dense_between",
                                           "mixtures/qwen3_moe_dense_first"),
                         model_name);

}  // namespace
}  // namespace halftone
