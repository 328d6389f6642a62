#include "transform/rotated_weights.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "support/fixtures.h"
#include "support/zoo.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::shared_data;

// Relative Frobenius norms (methods.md 11, identity 17). SmolLM2's own float32 logits are 1.2e-5
// from its float64 ones, the single worst of them 1.5e-4 of the greatest.
constexpr double kFloat64Logits = 1e-10;
constexpr double kFloat32Logits = 1e-4;

at::Tensor logits(const Model& model, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const Execution execution{at::kCPU, dtype, 1};
  const at::Tensor ids = at::arange(0, 64, at::kInt).view({2, 32}) + 1;
  const Positions positions = model.positions(32, execution);
  BlockState state{model.embed(ids, execution)};
  for (int64_t i = 0; i < model.config().layers; ++i)
    model.run_block(model.load_block(i, execution, positions), state);
  return model.logits(model.load_head(execution), state.hidden).to(at::kDouble);
}

double logit_change(std::shared_ptr<const WeightSource> source, at::ScalarType dtype,
                    bool online = false) {
  const Model plain(source);
  const Model rotated(std::make_shared<const RotatedWeights>(
      source, plain.family(), plain.config(),
      RotationOptions{.seed = 11, .online = online, .dtype = dtype}));
  EXPECT_FALSE(rotated.config().tied_embeddings);
  EXPECT_EQ(rotated.online() != nullptr, online);
  const at::Tensor before = logits(plain, dtype), after = logits(rotated, dtype);
  return ((before - after).norm() / before.norm()).item<double>();
}

// turns_online: its down projections can read rotated inputs, which experts' do not
void expect_same_function(const fs::path& folder, bool turns_online = true) {
  const auto checkpoint = std::make_shared<const Checkpoint>(folder);
  for (const bool online : {false, true}) {
    if (online && !turns_online) continue;
    EXPECT_LT(logit_change(checkpoint, at::kDouble, online), kFloat64Logits);
    EXPECT_LT(logit_change(checkpoint, at::kFloat, online), kFloat32Logits);
  }
}

TEST(RotatedWeights, KeepTheLogitsOfStories260K) {
  expect_same_function(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
}

TEST(GoldenRotatedWeights, KeepTheLogitsOfBabyllama) {
  HALFTONE_REQUIRE_SHARED("models/babyllama_tok105/hf");
  expect_same_function(shared_data("models/babyllama_tok105/hf"));
}

TEST(GoldenRotatedWeights, KeepTheLogitsOfSmolLM2) {  // models/smollm2/get_smollm2.py makes it
  HALFTONE_REQUIRE_SHARED("models/smollm2/hf");
  expect_same_function(shared_data("models/smollm2/hf"));
}

TEST(RotatedWeights, KeepTheLogitsOfGptOss) {  // biases of experts and of the router, sinks
  expect_same_function(testing::test_data("forward/mixtures/gpt_oss"), /*turns_online=*/false);
}

TEST(RotatedWeights, KeepTheLogitsOfPhi4Mini) {  // a part of each head turns
  expect_same_function(testing::test_data("forward/phi3/phi4_mini"));
}

class GoldenZooRotation : public ::testing::TestWithParam<testing::ZooModel> {};

TEST_P(GoldenZooRotation, KeepsTheLogitsOrIsRefusedWithTheReason) {
  HALFTONE_REQUIRE_SHARED("models/zoo");
  const fs::path folder = GetParam().folder();
  if (GetParam().rotates) return expect_same_function(folder, !GetParam().mixture);
  const auto checkpoint = std::make_shared<const Checkpoint>(folder);
  const Model model(checkpoint);
  ASSERT_NE(model.family().unrotatable, nullptr);
  const std::string message = message_of(
      [&] { RotatedWeights(checkpoint, model.family(), model.config(), RotationOptions{}); });
  EXPECT_NE(message.find(model.family().unrotatable), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenZooRotation, ::testing::ValuesIn(testing::zoo_models()),
                         testing::zoo_name);

// The demo model with biases everywhere and norms that are not one.
class WithBiases final : public WeightSource {
 public:
  explicit WithBiases(std::shared_ptr<const Checkpoint> source)
      : source_(std::move(source)), config_(source_->config()) {
    config_["attention_bias"] = true;
    config_["mlp_bias"] = true;
  }
  const nlohmann::json& config() const override { return config_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names = source_->names();
    for (const std::string& name : source_->names())
      if (name.ends_with("proj.weight")) names.push_back(bias_of(name));
    std::sort(names.begin(), names.end());
    return names;
  }
  bool contains(std::string_view name) const override {
    return name.ends_with("proj.bias") || source_->contains(name);
  }
  WeightInfo info(std::string_view name) const override {
    return {load(name).sizes().vec(), at::kFloat};
  }
  at::Tensor load(std::string_view name) const override {
    if (!name.ends_with(".bias")) return source_->load(name);
    const std::string weight = std::string(name.substr(0, name.rfind('.'))) + ".weight";
    const int64_t out = source_->load(weight).size(0);
    return at::arange(out, at::kFloat).sin() * 0.1;
  }
  void release(std::string_view) const override {}

 private:
  static std::string bias_of(const std::string& weight) {
    return weight.substr(0, weight.rfind('.')) + ".bias";
  }

  std::shared_ptr<const Checkpoint> source_;
  nlohmann::json config_;
};

TEST(RotatedWeights, KeepTheLogitsOfAModelWithBiases) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  EXPECT_LT(logit_change(std::make_shared<const WithBiases>(checkpoint), at::kDouble),
            kFloat64Logits);
}

// A small model of any sizes: normal numbers, biases, norms that are not one, grouped keys.
class Invented final : public WeightSource {
 public:
  explicit Invented(int64_t head_dim) {
    config_ = {{"architectures", {"LlamaForCausalLM"}},
               {"num_hidden_layers", 2},
               {"hidden_size", 60},
               {"intermediate_size", 52},
               {"vocab_size", 80},
               {"num_attention_heads", 4},
               {"num_key_value_heads", 2},
               {"head_dim", head_dim},
               {"attention_bias", true},
               {"mlp_bias", true},
               {"tie_word_embeddings", false}};
    const ModelConfig config = parse_llama_config(config_);
    at::manual_seed(head_dim);
    for (const NamedTensor& tensor : tensors_of(llama_family(), config)) {
      const at::Tensor numbers = at::randn(tensor.shape, at::kDouble) * 0.2;
      tensors_[tensor.name] = tensor.rotation == Rotation::kNorm ? numbers + 1 : numbers;
    }
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, unused] : tensors_) names.push_back(name);
    return names;
  }
  const nlohmann::json& config() const override { return config_; }
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

TEST(RotatedWeights, KeepTheLogitsWhateverTheSizeOfAHead) {  // 6 = 3 x 2: a random factor
  for (const int64_t head_dim : {2, 6, 10, 12, 80}) {
    const auto source = std::make_shared<const Invented>(head_dim);
    for (const bool online : {false, true})
      EXPECT_LT(logit_change(source, at::kDouble, online), kFloat64Logits) << head_dim;
  }
}

TEST(RotatedWeights, RefuseAFamilyWithoutRotationsAndASecondOnlineOne) {
  const auto source = std::make_shared<const Invented>(6);
  ModelConfig config = parse_llama_config(source->config());
  Family still = llama_family();
  for (TensorSpec& spec : still.outer) spec.rotation = Rotation::kNone;
  still.block = [](const ModelConfig& sizes, int64_t index) {
    BlockTable table = llama_family().block(sizes, index);
    for (TensorSpec& spec : table.tensors) spec.rotation = Rotation::kNone;
    for (LinearSpec& spec : table.linears) spec.rotation = Rotation::kNone;
    return table;
  };
  const auto refusal = [&](const Family& family) {
    return message_of([&] { RotatedWeights(source, family, config, {}); });
  };
  EXPECT_NE(refusal(still).find("family cannot be rotated"), std::string::npos);
  config.online_seed = 1;
  EXPECT_NE(refusal(llama_family()).find("online rotation already"), std::string::npos);
}

TEST(RotatedWeights, OnlyDownProjectionsReadInputsThatAreRotatedAsTheModelRuns) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  const Model plain(checkpoint);
  const auto rotated = [&](bool online) {
    return RotatedWeights(checkpoint, plain.family(), plain.config(),
                          {.seed = 1, .online = online, .dtype = at::kDouble});
  };
  const RotatedWeights offline = rotated(false), online = rotated(true);
  const auto seed = parse_llama_config(online.config()).online_seed;
  ASSERT_TRUE(seed.has_value());
  const KroneckerMatrix back = hadamard(plain.config().intermediate, *seed).transposed();
  for (const LinearSlot& slot : plain.linears_of_block(1)) {
    const bool down = slot.relative == "mlp.down_proj";
    const at::Tensor a = offline.load(slot.name + ".weight"),
                     b = online.load(slot.name + ".weight");
    EXPECT_EQ(a.equal(b), !down) << slot.name;
    if (!down) continue;
    EXPECT_LT((multiply(b, back) - a).abs().max().item<double>(), 1e-12);
  }
  EXPECT_FALSE(parse_llama_config(offline.config()).online_seed.has_value());
}

// The demo model's weights; counts how often their numbers are asked for.
class Counted final : public WeightSource {
 public:
  explicit Counted(std::shared_ptr<const WeightSource> source) : source_(std::move(source)) {}
  const nlohmann::json& config() const override { return source_->config(); }
  std::vector<std::string> names() const override { return source_->names(); }
  bool contains(std::string_view name) const override { return source_->contains(name); }
  WeightInfo info(std::string_view name) const override { return source_->info(name); }
  at::Tensor load(std::string_view name) const override {
    ++loads;
    return source_->load(name);
  }
  void release(std::string_view) const override {}

  mutable int loads = 0;

 private:
  std::shared_ptr<const WeightSource> source_;
};

TEST(RotatedWeights, AModelOverThemIsCheckedWithoutRotatingAnything) {
  const auto source = std::make_shared<const Counted>(
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K"));
  const Model plain(source);
  const auto rotated = std::make_shared<const RotatedWeights>(source, plain.family(),
                                                              plain.config(), RotationOptions{});
  const int before = source->loads;
  const Model model(rotated);
  EXPECT_EQ(model.dtype(), at::kFloat);
  EXPECT_EQ(source->loads, before);
  for (const std::string& name : rotated->names()) {
    const at::Tensor weight = rotated->load(name);
    EXPECT_EQ(rotated->info(name).shape, weight.sizes().vec()) << name;
    EXPECT_EQ(rotated->info(name).dtype, weight.scalar_type()) << name;
  }
}

TEST(RotatedWeights, RowsAreThoseOfTheWholeTensor) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  const Model plain(checkpoint);
  const RotatedWeights rotated(checkpoint, plain.family(), plain.config(), {.seed = 1});
  const at::Tensor index = at::tensor({5, 1, 5, 63, 0}, at::kLong);
  for (const char* name :
       {"model.embed_tokens.weight", "lm_head.weight", "model.layers.1.self_attn.v_proj.weight",
        "model.layers.1.self_attn.o_proj.weight"}) {
    const at::Tensor rows = rotated.load(name).index_select(0, index.remainder(32));
    EXPECT_TRUE(at::allclose(rotated.load_rows(name, index.remainder(32)), rows, 1e-6, 1e-7))
        << name;
  }
}

TEST(RotatedWeights, SpreadOutliersOverTheRow) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  const Model plain(checkpoint);
  const RotatedWeights rotated(checkpoint, plain.family(), plain.config(), {.seed = 1});
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
