// The forward pass against values of transformers (tests/data/forward, ../shared).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::shared_data;
using ::halftone::testing::TemporaryFolder;
using ::halftone::testing::test_data;

constexpr double kHiddenTolerance = 1e-3;  // absolute; float32 against exact is about 4e-5

fs::path demo_model() {
  return fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K";
}

Model open(const fs::path& folder) {
  const auto checkpoint = std::make_shared<const Checkpoint>(folder);
  return Model(checkpoint);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

void expect_golden_forward(const fs::path& folder, const fs::path& golden_file) {
  const at::NoGradGuard no_grad;
  const Model model = open(folder);
  const SafetensorsFile golden(golden_file);
  const auto value = [&](const std::string& name) { return golden.view(*golden.find(name)); };
  const Execution execution{at::kCPU, at::kFloat, 1};
  const at::Tensor ids = value("ids");
  const Positions positions = model.positions(ids.size(1), execution);
  BlockState state{model.embed(ids, execution)};
  EXPECT_EQ(largest_difference(state.hidden[0], value("hidden_0")), 0);
  for (int64_t i = 0; i < model.config().layers; ++i) {
    model.run_block(model.load_block(i, execution, positions), state);
    // transformers stores the last hidden state after the final norm, so that one is compared below
    if (i + 1 < model.config().layers) {
      EXPECT_LT(largest_difference(state.hidden[0], value(fmt::format("hidden_{}", i + 1))),
                kHiddenTolerance);
    }
  }
  const Head head = model.load_head(execution);
  const at::Tensor normed =
      rms_norm(state.hidden, head.tensors.front(), model.config().norm_epsilon);
  EXPECT_LT(largest_difference(normed[0], value("hidden_norm")), kHiddenTolerance);
  const at::Tensor logits = model.logits(head, state.hidden);
  EXPECT_LT(largest_difference(logits[0], value("logits_0")), kHiddenTolerance);
  EXPECT_LT(largest_difference(logits[1], value("logits_1")), kHiddenTolerance);
}

TEST(Forward, Stories260KEqualsTransformers) {
  expect_golden_forward(demo_model(), test_data("forward/stories260K_forward.safetensors"));
}

TEST(Forward, Qwen2WithAWindowInItsUpperLayersEqualsTransformers) {
  expect_golden_forward(test_data("forward/qwen2"), test_data("forward/qwen2_forward.safetensors"));
}

TEST(Forward, SmolLM3WithALayerWithoutRotaryEmbeddingsEqualsTransformers) {
  expect_golden_forward(test_data("forward/smollm3"),
                        test_data("forward/smollm3_forward.safetensors"));
}

TEST(Forward, Phi3WithLongRopeEqualsTransformersUpToItsOriginalContextAndBeyond) {
  for (const char* values : {"phi3_longrope_short", "phi3_longrope"})
    expect_golden_forward(test_data("forward/phi3_longrope"),
                          test_data(fmt::format("forward/{}_forward.safetensors", values)));
}

TEST(GoldenForward, BabyllamaEqualsTransformers) {
  HALFTONE_REQUIRE_SHARED("golden/forward");
  expect_golden_forward(shared_data("models/babyllama_tok105/hf"),
                        shared_data("golden/forward/babyllama_tok105_forward.safetensors"));
}

TEST(Forward, BFloat16StaysNearFloat32) {
  const at::NoGradGuard no_grad;
  const Model model = open(demo_model());
  const at::Tensor ids = at::arange(0, 64, at::kInt).view({1, 64});
  const auto run = [&](at::ScalarType dtype) {
    const Execution execution{at::kCPU, dtype, 1};
    const Positions positions = model.positions(64, execution);
    BlockState state{model.embed(ids, execution)};
    for (int64_t i = 0; i < model.config().layers; ++i)
      model.run_block(model.load_block(i, execution, positions), state);
    return at::log_softmax(model.logits(model.load_head(execution), state.hidden).to(at::kDouble),
                           -1);
  };
  const at::Tensor exact = run(at::kFloat), rounded = run(at::kBFloat16);
  const double kl = (exact.exp() * (exact - rounded)).sum(-1).mean().item<double>();
  EXPECT_GT(kl, 0);
  EXPECT_LT(kl, 0.005);  // methods.md 12: a 135M model in bfloat16 against itself has 0.001
}

TEST(Model, CountsParametersTiedOnesOnce) {
  EXPECT_EQ(open(demo_model()).parameters(), 260032);
}

TEST(Model, ListsLinearsInTheOrderTheyAreQuantized) {
  const Model model = open(demo_model());
  ASSERT_EQ(model.linears().size(), 35u);
  const auto block = model.linears_of_block(2);
  EXPECT_EQ(block[0].name, "model.layers.2.self_attn.q_proj");
  EXPECT_EQ(block[6].relative, "mlp.down_proj");
  EXPECT_EQ(block[6].in, 172);
  EXPECT_EQ(block[6].stage, 3);
}

}  // namespace
}  // namespace halftone
