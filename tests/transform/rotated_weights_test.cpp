#include "transform/rotated_weights.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::shared_data;

constexpr double kFloat64Logits = 1e-10;  // relative; METHODS 11, identity 17
constexpr double kFloat32Logits = 1e-4;

at::Tensor logits(const Model& model, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const Execution execution{at::kCPU, dtype, 1};
  const at::Tensor ids = at::arange(0, 64, at::kInt).view({2, 32}) + 1;
  const RopeTable rope = make_rope_table(model.config(), 32, at::kCPU, dtype);
  BlockState state{Model::embed(model.embedding(), ids, execution), {}};
  for (int64_t i = 0; i < model.config().layers; ++i)
    model.run_block(model.load_block(i, execution, rope), state);
  return at::linear(model.final_norm(state.hidden, execution), model.head(execution))
      .to(at::kDouble);
}

double logit_change(std::shared_ptr<const WeightSource> source,
                    const std::vector<std::string>& names, at::ScalarType dtype) {
  const Model plain(source, names);
  std::vector<std::string> with_head = names;
  with_head.emplace_back("lm_head.weight");
  const Model rotated(
      std::make_shared<const RotatedWeights>(source, plain.family(), plain.config(), 11, dtype),
      with_head);
  EXPECT_FALSE(rotated.config().tied_embeddings);
  const at::Tensor before = logits(plain, dtype), after = logits(rotated, dtype);
  return ((before - after).abs().max() / before.abs().max()).item<double>();
}

void expect_same_function(const fs::path& folder) {
  const auto checkpoint = std::make_shared<const Checkpoint>(folder);
  EXPECT_LT(logit_change(checkpoint, checkpoint->names(), at::kDouble), kFloat64Logits);
  EXPECT_LT(logit_change(checkpoint, checkpoint->names(), at::kFloat), kFloat32Logits);
}

TEST(RotatedWeights, KeepTheLogitsOfStories260K) {
  expect_same_function(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
}

TEST(GoldenRotatedWeights, KeepTheLogitsOfBabyllama) {
  HALFTONE_REQUIRE_SHARED("models/babyllama_tok105/hf");
  expect_same_function(shared_data("models/babyllama_tok105/hf"));
}

// The demo model with biases everywhere and norms that are not one.
class WithBiases final : public WeightSource {
 public:
  explicit WithBiases(std::shared_ptr<const Checkpoint> source)
      : source_(std::move(source)), config_(source_->config()) {
    config_["attention_bias"] = true;
    config_["mlp_bias"] = true;
  }
  const nlohmann::json& config() const override { return config_; }
  bool contains(std::string_view name) const override {
    return name.ends_with("proj.bias") || source_->contains(name);
  }
  at::Tensor load(std::string_view name) const override {
    if (!name.ends_with(".bias")) return source_->load(name);
    const std::string weight = std::string(name.substr(0, name.rfind('.'))) + ".weight";
    const int64_t out = source_->load(weight).size(0);
    return at::arange(out, at::kFloat).sin() * 0.1;
  }
  void release(std::string_view) const override {}

 private:
  std::shared_ptr<const Checkpoint> source_;
  nlohmann::json config_;
};

TEST(RotatedWeights, KeepTheLogitsOfAModelWithBiases) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  EXPECT_LT(logit_change(std::make_shared<const WithBiases>(checkpoint), checkpoint->names(),
                         at::kDouble),
            kFloat64Logits);
}

TEST(RotatedWeights, SpreadOutliersOverTheRow) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  const Model plain(checkpoint, checkpoint->names());
  const RotatedWeights rotated(checkpoint, plain.family(), plain.config(), 1);
  const auto peak = [](const at::Tensor& w) {
    return (w.abs().amax(1) / w.square().mean(1).sqrt()).mean().item<double>();
  };
  const std::string name = "model.layers.2.self_attn.q_proj.weight";
  EXPECT_LT(
      peak(rotated.load(name)),
      peak(checkpoint->load(name) * checkpoint->load("model.layers.2.input_layernorm.weight")));
}

}  // namespace
}  // namespace halftone
