// The forward pass of the LayerNorm families in configurations that no model of the zoo has,
// against values of transformers (tests/data/forward/layer_norm).
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

class LayerNormForward : public ::testing::TestWithParam<const char*> {};

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

TEST_P(LayerNormForward, EqualsTransformers) {
  const at::NoGradGuard no_grad;
  const auto folder = test_data("forward/layer_norm") / GetParam();
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

INSTANTIATE_TEST_SUITE_P(Variants, LayerNormForward,
                         ::testing::Values("opt_post_norm", "opt_no_bias", "gpt_neox_sequential",
                                           "falcon_new", "falcon_multi_head", "phi_grouped",
                                           "gpt2_inner", "starcoder2_no_bias"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace halftone
