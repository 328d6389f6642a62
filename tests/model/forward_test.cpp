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
  return Model(checkpoint, checkpoint->names());
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
  const RopeTable rope = make_rope_table(model.config(), ids.size(1), at::kCPU, at::kFloat);
  BlockState state{Model::embed(model.embedding(), ids, execution), {}};
  EXPECT_EQ(largest_difference(state.hidden[0], value("hidden_0")), 0);
  for (int64_t i = 0; i < model.config().layers; ++i) {
    model.run_block(model.load_block(i, execution, rope), state);
    // transformers stores the last hidden state after the final norm, so that one is compared below
    if (i + 1 < model.config().layers) {
      EXPECT_LT(largest_difference(state.hidden[0], value(fmt::format("hidden_{}", i + 1))),
                kHiddenTolerance);
    }
  }
  const at::Tensor normed = model.final_norm(state.hidden, execution);
  EXPECT_LT(largest_difference(normed[0], value("hidden_norm")), kHiddenTolerance);
  const at::Tensor logits = at::linear(normed, model.head(execution));
  EXPECT_LT(largest_difference(logits[0], value("logits_0")), kHiddenTolerance);
  EXPECT_LT(largest_difference(logits[1], value("logits_1")), kHiddenTolerance);
}

TEST(Forward, Stories260KEqualsTransformers) {
  expect_golden_forward(demo_model(), test_data("forward/stories260K_forward.safetensors"));
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
    const RopeTable rope = make_rope_table(model.config(), 64, at::kCPU, dtype);
    BlockState state{Model::embed(model.embedding(), ids, execution), {}};
    for (int64_t i = 0; i < model.config().layers; ++i)
      model.run_block(model.load_block(i, execution, rope), state);
    return at::log_softmax(
        at::linear(model.final_norm(state.hidden, execution), model.head(execution))
            .to(at::kDouble),
        -1);
  };
  const at::Tensor exact = run(at::kFloat), rounded = run(at::kBFloat16);
  const double kl = (exact.exp() * (exact - rounded)).sum(-1).mean().item<double>();
  EXPECT_GT(kl, 0);
  EXPECT_LT(kl, 0.005);  // EVALUATION: a 135M model in bfloat16 against itself has 0.001
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

// The demo model with one thing changed, in a folder of its own.
class ChangedModel {
 public:
  ChangedModel() {
    const Checkpoint source(demo_model());
    config = source.config();
    for (const std::string& name : source.names()) tensors[name] = source.load(name).clone();
  }
  std::string refusal() {
    write_file_atomically(folder_ / "config.json", config.dump());
    write_safetensors(folder_ / "model.safetensors", tensors, {{"format", "pt"}});
    return message_of([&] {
      const Model model = open(folder_.path());
      const Execution execution{at::kCPU, at::kFloat, 1};
      const RopeTable rope = make_rope_table(model.config(), 4, at::kCPU, at::kFloat);
      model.load_block(0, execution, rope);
    });
  }
  nlohmann::json config;
  std::map<std::string, at::Tensor> tensors;

 private:
  TemporaryFolder folder_;
};

TEST(Model, NamesAMissingTensor) {
  ChangedModel changed;
  changed.tensors.erase("model.layers.3.mlp.up_proj.weight");
  EXPECT_NE(changed.refusal().find("model.layers.3.mlp.up_proj.weight: missing"),
            std::string::npos);
}

TEST(Model, NamesATensorItDoesNotKnow) {
  ChangedModel changed;
  changed.tensors["model.layers.0.self_attn.q_norm.weight"] = at::ones({8});
  EXPECT_NE(changed.refusal().find("q_norm"), std::string::npos);
}

TEST(Model, RefusesAWrongShape) {
  ChangedModel changed;
  changed.tensors["model.layers.0.self_attn.k_proj.weight"] = at::ones({64, 64});
  EXPECT_NE(changed.refusal().find("expected shape [32, 64]"), std::string::npos);
}

TEST(Model, RefusesADtypeThatIsNoWeight) {
  ChangedModel changed;
  auto& weight = changed.tensors["model.layers.0.self_attn.k_proj.weight"];
  weight = weight.to(at::kChar);
  EXPECT_NE(changed.refusal().find("expected float32, float16 or bfloat16"), std::string::npos);
}

}  // namespace
}  // namespace halftone
