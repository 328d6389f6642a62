// What the files hold against what config.json asks for, on the demo model with one thing changed.
#include "model/stored_tensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";

class ChangedModel {
 public:
  ChangedModel() {
    const Checkpoint source(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
    config = source.config();
    for (const std::string& name : source.names()) tensors[name] = source.load(name).clone();
  }
  // Biases of these linears in all blocks.
  void add_biases(const std::vector<const char*>& linears, double value) {
    for (int64_t block = 0; block < config["num_hidden_layers"]; ++block)
      for (const char* linear : linears) {
        const std::string name = fmt::format("model.layers.{}.{}", block, linear);
        tensors[name + ".bias"] = at::full({tensors.at(name + ".weight").size(0)}, value);
      }
  }
  Model open() {
    write_file_atomically(folder_ / "config.json", config.dump());
    write_safetensors(folder_ / "model.safetensors", tensors, {{"format", "pt"}});
    return Model(std::make_shared<const Checkpoint>(folder_.path()));
  }
  std::string refusal() {
    return message_of([&] { open(); });
  }

  nlohmann::json config;
  std::map<std::string, at::Tensor> tensors;

 private:
  TemporaryFolder folder_;
};

// Logits of a few tokens.
at::Tensor logits_of(const Model& model) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  const Positions positions = model.positions(8, execution);
  BlockState state{model.embed(at::arange(3, 11, at::kInt).view({1, 8}), execution)};
  for (int64_t i = 0; i < model.config().layers; ++i)
    model.run_block(model.load_block(i, execution, positions), state);
  return model.logits(model.load_head(execution), state.hidden);
}

TEST(StoredTensors, NamesAMissingTensor) {
  ChangedModel changed;
  changed.tensors.erase("model.layers.3.mlp.up_proj.weight");
  EXPECT_NE(changed.refusal().find("model.layers.3.mlp.up_proj.weight: missing"),
            std::string::npos);
}

TEST(StoredTensors, NamesATensorItDoesNotKnow) {
  ChangedModel changed;
  changed.tensors["model.layers.0.self_attn.q_norm.weight"] = at::ones({8});
  EXPECT_NE(changed.refusal().find("q_norm"), std::string::npos);
}

TEST(StoredTensors, RefusesAWrongShape) {
  ChangedModel changed;
  changed.tensors["model.layers.0.self_attn.k_proj.weight"] = at::ones({64, 64});
  EXPECT_NE(changed.refusal().find("expected shape [32, 64]"), std::string::npos);
}

TEST(StoredTensors, RefusesADtypeThatIsNoWeight) {
  ChangedModel changed;
  auto& weight = changed.tensors["model.layers.0.self_attn.k_proj.weight"];
  weight = weight.to(at::kChar);
  EXPECT_NE(changed.refusal().find("expected float32, float16 or bfloat16"), std::string::npos);
}

TEST(StoredTensors, TheWeightsOfLinearsAreCheckedBeforeAnyIsLoaded) {
  ChangedModel changed;
  changed.tensors["model.layers.4.mlp.down_proj.weight"] = at::ones({64, 64});
  EXPECT_NE(changed.refusal().find("model.layers.4.mlp.down_proj.weight: expected shape"),
            std::string::npos);
}

TEST(StoredTensors, AHeadOfItsOwnGoesBeforeEmbeddingsThatAreCalledTied) {
  ChangedModel changed;
  changed.config["tie_word_embeddings"] = true;
  changed.tensors[kHead] = changed.tensors.at(kEmbedding) * 2;
  const Model model = changed.open();
  EXPECT_FALSE(model.config().tied_embeddings);
  EXPECT_EQ(model.config().unasked, nlohmann::json({{"tie_word_embeddings", false}}));
  ASSERT_EQ(model.config().notes.size(), 1u);
  EXPECT_NE(model.config().notes[0].find(kHead), std::string::npos);
  EXPECT_EQ(std::ranges::count(model.other_tensors(), kHead), 1);
  const at::Tensor logits = logits_of(model);
  changed.config["tie_word_embeddings"] = false;
  EXPECT_TRUE(logits.equal(logits_of(changed.open())));
}

TEST(StoredTensors, ASecondCopyOfATiedEmbeddingChangesNothing) {
  ChangedModel changed;
  changed.config["tie_word_embeddings"] = true;
  changed.tensors[kHead] = changed.tensors.at(kEmbedding).clone();
  const Model model = changed.open();
  EXPECT_TRUE(model.config().tied_embeddings);
  EXPECT_TRUE(model.config().unasked.empty());
  EXPECT_TRUE(model.config().notes.empty());
  EXPECT_EQ(std::ranges::count(model.other_tensors(), kHead), 0);
}

TEST(StoredTensors, AHeadThatDiffersInItsLastNumberIsAnotherHead) {
  ChangedModel changed;
  changed.config["tie_word_embeddings"] = true;
  at::Tensor head = changed.tensors.at(kEmbedding).clone();
  head[-1][-1] += 1;
  changed.tensors[kHead] = head;
  EXPECT_FALSE(changed.open().config().tied_embeddings);
}

TEST(StoredTensors, BiasesThatNobodyAskedForAreUsedWhereAllOfTheirKindAreThere) {
  for (const auto& [key, linears] :
       {std::pair<const char*, std::vector<const char*>>{
            "attention_bias",
            {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"}},
        {"mlp_bias", {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}}}) {
    ChangedModel changed;
    changed.add_biases(linears, 0.5);
    const Model model = changed.open();
    EXPECT_EQ(model.config().unasked, nlohmann::json({{key, true}}));
    EXPECT_EQ(model.config().notes.size(), 1u);
    const at::Tensor logits = logits_of(model);
    changed.config[key] = true;
    EXPECT_TRUE(logits.equal(logits_of(changed.open()))) << key;
    EXPECT_FALSE(logits.equal(logits_of(ChangedModel().open()))) << key;
  }
}

TEST(StoredTensors, ABiasThatTheArchitectureCannotAskForIsRefusedByName) {
  ChangedModel some;  // no o_proj: attention_bias would ask for it
  some.add_biases({"self_attn.q_proj", "self_attn.k_proj"}, 0.5);
  EXPECT_NE(some.refusal().find("model.layers.0.self_attn.k_proj.bias: stored"), std::string::npos);
  ChangedModel mistral;  // the library's class has none, whatever is stored
  mistral.config["architectures"] = {"MistralForCausalLM"};
  mistral.config["sliding_window"] = nullptr;
  mistral.add_biases(
      {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"}, 0.5);
  EXPECT_NE(mistral.refusal().find("self_attn.k_proj.bias: stored"), std::string::npos);
}

TEST(StoredTensors, BiasesOfZerosAreLeftOutWithoutAWord) {  // GPTQ folders have them everywhere
  ChangedModel changed;
  changed.add_biases({"self_attn.q_proj", "mlp.up_proj"}, 0);
  const Model model = changed.open();
  EXPECT_TRUE(model.config().notes.empty());
  EXPECT_FALSE(model.linears().front().has_bias);
}

TEST(StoredTensors, WhatNoConfigCouldAskForIsRefusedByName) {
  for (const char* name :
       {"lm_head.bias", "model.norm.bias", "model.layers.1.input_layernorm.bias",
        "model.layers.0.mlp.up_proj.weight_scale", "model.layers.2.self_attn.q_proj.qweight",
        "model.layers.7.mlp.up_proj.weight"}) {
    ChangedModel changed;
    changed.tensors[name] = at::ones({4});
    EXPECT_NE(changed.refusal().find(fmt::format("{}: not a tensor of LlamaForCausalLM", name)),
              std::string::npos);
  }
}

TEST(StoredTensors, IntegersWithScalesAreRefusedByTheNameOfTheWeight) {
  ChangedModel changed;
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  changed.tensors[name] = changed.tensors.at(name).to(at::kChar);
  changed.tensors[name + "_scale"] = at::ones({172, 1});
  const std::string message = changed.refusal();
  EXPECT_EQ(message.find(name), 0u) << message;
  EXPECT_NE(message.find("expected float32, float16 or bfloat16"), std::string::npos);
}

}  // namespace
}  // namespace halftone
