// Mixes of GGUF types against what llama.cpp's quantizer says it would do
// (tests/data/gguf/mix_types.json, made by tests/crosscheck/llama_mixes.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/gguf_architecture.h"
#include "format/gguf_blocks.h"
#include "pipeline/gguf_type_rules.h"
#include "pipeline/matrix_types.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using nlohmann::json;
using testing::message_of;

// What decides the types of a model.
struct Shape {
  const char* name;
  const char* architecture;
  int64_t layers, hidden, intermediate, heads, kv_heads, head_dim;
  bool tied;
};

constexpr Shape kShapes[] = {
    {"llama_k256", "LlamaForCausalLM", 6, 256, 768, 4, 4, 64, true},
    {"qwen3_k256", "Qwen3ForCausalLM", 3, 256, 768, 4, 4, 64, false},
    {"smollm2", "LlamaForCausalLM", 30, 576, 1536, 9, 3, 64, true},
    {"qwen2.5-coder", "Qwen2ForCausalLM", 24, 896, 4864, 14, 2, 64, true},
};

ModelConfig config_of(const Shape& shape) {
  ModelConfig config;
  config.architecture = shape.architecture;
  config.layers = shape.layers;
  config.hidden = shape.hidden;
  config.embedding_width = shape.hidden;
  config.intermediate = shape.intermediate;
  config.heads = shape.heads;
  config.kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.vocab = 512;
  config.tied_embeddings = shape.tied;
  return config;
}

std::vector<LinearSlot> linears_of(const Family& family, const ModelConfig& config) {
  std::vector<LinearSlot> all;
  for (int64_t block = 0; block < config.layers; ++block)
    for (const LinearSpec& linear : family.block(config, block).linears) {
      LinearSlot slot;
      slot.relative = linear.name;
      slot.name = family.block_prefix + std::to_string(block) + "." + linear.name;
      slot.out = size_of(linear.out, config);
      slot.in = size_of(linear.in, config);
      all.push_back(slot);
    }
  return all;
}

std::string type_of(const Recipe& recipe, const LinearSlot& linear) {
  const LinearPlan plan{.name = linear.name,
                        .out = linear.out,
                        .in = linear.in,
                        .grid = stored_grid(recipe.for_linear(linear.name))};
  return std::string(gguf_type_of(plan)->name);
}

// "blk.3.attn_v.weight" -> what llama.cpp gives it.
std::string expected_type(const json& types, const std::string& gguf) {
  const bool in_block = gguf.starts_with("blk.");
  const size_t first = in_block ? gguf.find('.', 4) + 1 : 0;
  const json& found = types.at(gguf.substr(first, gguf.rfind('.') - first));
  return (found.is_array() ? found.at(std::stoul(gguf.substr(4))) : found).get<std::string>();
}

TEST(GgufMix, GivesEveryLinearTheTypeOfTheStockQuantizer) {
  const json golden = json::parse(read_file(testing::test_data("gguf/mix_types.json"), 1 << 20));
  for (const Shape& shape : kShapes) {
    const ModelConfig config = config_of(shape);
    const Family& family = find_family(shape.architecture);
    const GgufArchitecture& architecture = gguf_architecture_for(shape.architecture);
    for (const auto& [name, text] : builtin_mixes()) {
      const json& types = golden.at(shape.name).at(name);
      const std::vector<LinearSlot> linears = linears_of(family, config);
      const TypedRecipe typed = with_mix({}, find_mix(name), config, linears);
      for (const LinearSlot& linear : linears)
        EXPECT_EQ(type_of(typed.recipe, linear),
                  expected_type(types, *gguf_name(architecture, linear.name + ".weight")))
            << shape.name << " " << name << " " << linear.name;
    }
  }
}

TEST(GgufMix, GivesEmbeddingAndHeadTheTypesOfTheStockQuantizer) {
  const json golden = json::parse(read_file(testing::test_data("gguf/mix_types.json"), 1 << 20));
  for (const Shape& shape : kShapes) {
    const ModelConfig config = config_of(shape);
    const Family& family = find_family(shape.architecture);
    const GgufArchitecture& architecture = gguf_architecture_for(shape.architecture);
    for (const auto& [name, text] : builtin_mixes()) {
      const MatrixTypes found = matrix_types(family, config, "", "", find_mix(name));
      EXPECT_EQ(found.types.size(), shape.tied ? 1U : 2U);
      for (const auto& [tensor, type] : found.types)
        EXPECT_EQ(type->name,
                  expected_type(golden.at(shape.name).at(name), *gguf_name(architecture, tensor)))
            << shape.name << " " << name << " " << tensor;
    }
  }
}

TEST(GgufMix, SaysWhereRowsAllowAnotherTypeOnly) {
  const ModelConfig config = config_of(kShapes[2]);
  const Family& family = find_family("LlamaForCausalLM");
  EXPECT_EQ(matrix_types(family, config, "", "", find_mix("Q4_K_M")).note,
            "model.embed_tokens.weight is Q8_0 in place of Q6_K, whose blocks of 256 do not divide "
            "576 columns");
  EXPECT_EQ(with_mix({}, find_mix("Q6_K"), config, linears_of(family, config)).note,
            "180 of 210 linears are Q8_0 (8.5 bits a weight) in place of Q6_K (6.562), whose "
            "blocks of 256 do not divide 576 columns");
}

class MatrixTypesAskedFor : public ::testing::Test {
 protected:
  MatrixTypes types(const std::string& embedding, const std::string& head, bool tied,
                    const std::optional<Mix>& mix = {}) const {
    Shape shape = kShapes[0];
    shape.tied = tied;
    return matrix_types(find_family("LlamaForCausalLM"), config_of(shape), embedding, head, mix);
  }
  std::string refusal(const std::string& embedding, const std::string& head, bool tied) const {
    return message_of([&] { types(embedding, head, tied); });
  }
};

using Names = std::map<std::string, std::string>;

TEST_F(MatrixTypesAskedFor, OverruleTheMix) {
  EXPECT_EQ(names_of(types("", "", false)), Names());
  EXPECT_EQ(names_of(types("Q3_K", "F16", false)),
            Names({{"model.embed_tokens.weight", "Q3_K"}, {"lm_head.weight", "F16"}}));
  EXPECT_EQ(names_of(types("", "Q8_0", false, find_mix("Q4_K_M"))),
            Names({{"model.embed_tokens.weight", "Q4_K"}, {"lm_head.weight", "Q8_0"}}));
}

TEST_F(MatrixTypesAskedFor, AreOneWhereTheModelHasOneMatrix) {
  const Names q5 = {{"model.embed_tokens.weight", "Q5_K"}};
  EXPECT_EQ(names_of(types("Q5_K", "", true)), q5);
  EXPECT_EQ(names_of(types("", "Q5_K", true)), q5);
  EXPECT_EQ(names_of(types("Q5_K", "Q5_K", true)), q5);
  EXPECT_EQ(names_of(types("Q5_K", "", true, find_mix("Q4_K_M"))), q5);
  EXPECT_EQ(refusal("Q4_K", "Q6_K", true),
            "--embedding Q4_K, --head Q6_K: the model has one matrix for both");
}

TEST_F(MatrixTypesAskedFor, MustBeThereAndDivideTheRows) {
  EXPECT_NE(refusal("Q9_K", "", true).find("--embedding: expected F32, F16, BF16 or one of Q2_0"),
            std::string::npos);
  EXPECT_NE(refusal("", "IQ1_S", false).find("--head: expected"), std::string::npos);
  EXPECT_EQ(refusal("", "NVFP4", false), "--head NVFP4: a type of linears alone");
  EXPECT_EQ(message_of([&] {
              matrix_types(find_family("LlamaForCausalLM"), config_of(kShapes[2]), "Q4_K", "", {});
            }),
            "--embedding Q4_K: model.embed_tokens.weight has rows of 576, no multiple of 256");
}

}  // namespace
}  // namespace halftone
