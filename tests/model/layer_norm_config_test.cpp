// The LayerNorm families' keys of config.json, as transformers 5.24 reads them (their forward
// passes: zoo_test.cpp, layer_norm_forward_test.cpp).
#include <gtest/gtest.h>

#include <algorithm>

#include "model/family.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using nlohmann::json;

ModelConfig parsed(const char* architecture, json config = json::object()) {
  config["architectures"] = {architecture};
  return find_family(architecture).parse_config(config);
}

std::string refusal(const char* architecture, const json& config) {
  return message_of([&] { parsed(architecture, config); });
}

void expect_sizes(const ModelConfig& config, const std::vector<int64_t>& sizes) {
  EXPECT_EQ(
      (std::vector<int64_t>{config.layers, config.hidden, config.heads, config.kv_heads,
                            config.head_dim, config.intermediate, config.vocab, config.context}),
      sizes)
      << config.architecture;
}

TEST(LayerNormConfig, AbsentKeysMeanWhatTheLibraryFillsIn) {
  expect_sizes(parsed("Starcoder2ForCausalLM"), {30, 3072, 24, 2, 128, 12288, 49152, 4096});
  expect_sizes(parsed("GPTNeoXForCausalLM"), {44, 6144, 64, 64, 96, 24576, 50432, 2048});
  expect_sizes(parsed("OPTForCausalLM"), {12, 768, 12, 12, 64, 3072, 50272, 2048});
  expect_sizes(parsed("GPT2LMHeadModel"), {12, 768, 12, 12, 64, 3072, 50257, 1024});
  expect_sizes(parsed("PhiForCausalLM"), {24, 2048, 32, 32, 64, 8192, 51200, 2048});
  expect_sizes(parsed("FalconForCausalLM"), {32, 4544, 71, 1, 64, 18176, 65024, 2048});
}

TEST(LayerNormConfig, ActivationsTyingAndFormAreTheClassesOwnWhereNothingIsSaid) {
  const auto expect = [](const char* architecture, Activation activation, bool tied, bool biases,
                         Residual residual) {
    const ModelConfig config = parsed(architecture);
    EXPECT_EQ(config.activation, activation) << architecture;
    EXPECT_EQ(config.tied_embeddings, tied) << architecture;
    EXPECT_EQ(config.mlp_bias, biases) << architecture;
    EXPECT_EQ(config.residual, residual) << architecture;
    EXPECT_EQ(config.norm_epsilon, 1e-5) << architecture;
    EXPECT_EQ(config.sliding_window, 0) << architecture;
  };
  using enum Activation;
  using enum Residual;
  expect("Starcoder2ForCausalLM", kGeluTanh, true, true, kSequential);
  expect("GPTNeoXForCausalLM", kGelu, false, true, kParallel);
  expect("OPTForCausalLM", kRelu, true, true, kSequential);
  expect("GPT2LMHeadModel", kGeluTanh, true, true, kSequential);
  expect("PhiForCausalLM", kGeluTanh, false, true, kParallel);
  expect("FalconForCausalLM", kGelu, true, false, kParallel);
}

TEST(LayerNormConfig, TheShareOfAHeadThatRotatesIsReadInOldAndNewSpellings) {
  const json sizes = {{"hidden_size", 64}, {"num_attention_heads", 2}};
  const auto dim = [&](const char* architecture, const json& more) {
    json config = sizes;
    config.update(more);
    return parsed(architecture, config).rotary_dim;
  };
  const json object = {{"rope_type", "default"}, {"partial_rotary_factor", 0.75}};
  EXPECT_EQ(dim("GPTNeoXForCausalLM", json::object()), 8);
  EXPECT_EQ(dim("GPTNeoXForCausalLM", {{"rotary_pct", 0.5}}), 16);
  EXPECT_EQ(dim("GPTNeoXForCausalLM", {{"rotary_pct", 0.5}, {"rope_parameters", object}}), 24);
  EXPECT_EQ(dim("PhiForCausalLM", json::object()), 16);
  EXPECT_EQ(dim("PhiForCausalLM", {{"partial_rotary_factor", 0.4}}), 12);  // of 12.8
  EXPECT_EQ(dim("PhiForCausalLM", {{"rope_parameters", object}}), 24);
  EXPECT_EQ(dim("FalconForCausalLM", json::object()), 32);
  EXPECT_EQ(parsed("OPTForCausalLM").rotary_dim, 0);
  EXPECT_EQ(parsed("GPTNeoXForCausalLM", {{"rotary_emb_base", 500}}).rope_theta, 500);
}

TEST(LayerNormConfig, OptSaysItsNormsPositionsAndProjections) {
  const ModelConfig small = parsed("OPTForCausalLM", {{"do_layer_norm_before", false},
                                                      {"word_embed_proj_dim", 512},
                                                      {"max_position_embeddings", 100}});
  EXPECT_EQ(small.residual, Residual::kPostNorm);
  EXPECT_FALSE(small.final_norm);
  EXPECT_EQ(small.embedding_width, 512);
  EXPECT_EQ(small.learned_positions, 102);
  EXPECT_TRUE(is_present(Presence::kProjected, small));
  EXPECT_FALSE(is_present(Presence::kProjected, parsed("OPTForCausalLM")));
  EXPECT_TRUE(parsed("OPTForCausalLM").final_norm);
  EXPECT_FALSE(parsed("OPTForCausalLM", {{"_remove_final_layer_norm", true}}).final_norm);
}

TEST(LayerNormConfig, FalconsKeyValueHeadsAreThoseOfItsArchitecture) {
  const auto heads = [](json config) {
    config.update({{"hidden_size", 64}, {"num_attention_heads", 8}});
    return parsed("FalconForCausalLM", config).kv_heads;
  };
  EXPECT_EQ(heads({{"num_kv_heads", 4}}), 1);
  EXPECT_EQ(heads({{"num_kv_heads", 8}, {"multi_query", false}}), 8);
  EXPECT_EQ(heads({{"num_kv_heads", 4}, {"new_decoder_architecture", true}}), 4);
  EXPECT_EQ(heads({{"new_decoder_architecture", true}}), 8);
  EXPECT_EQ(parsed("FalconForCausalLM", {{"n_embed", 142}}).hidden, 142);
}

TEST(LayerNormConfig, WhatIsNotSupportedIsRefusedByName) {
  const auto expect = [](const char* architecture, const json& config, const char* named) {
    EXPECT_NE(refusal(architecture, config).find(named), std::string::npos) << named;
  };
  expect("FalconForCausalLM", {{"alibi", true}}, "alibi");
  expect("FalconForCausalLM", {{"parallel_attn", false}}, "parallel_attn");
  expect("OPTForCausalLM", {{"layer_norm_elementwise_affine", false}},
         "layer_norm_elementwise_affine");
  expect("GPT2LMHeadModel", {{"scale_attn_by_inverse_layer_idx", true}},
         "scale_attn_by_inverse_layer_idx");
  expect("GPT2LMHeadModel", {{"scale_attn_weights", false}}, "scale_attn_weights");
  expect("GPT2LMHeadModel", {{"add_cross_attention", true}}, "add_cross_attention");
  expect("GPT2LMHeadModel", {{"n_embd", 130}}, "n_embd 130 is not a multiple of n_head 12");
  expect("GPT2LMHeadModel", {{"n_layer", -1}}, "n_layer");
  expect("PhiForCausalLM", {{"qk_layernorm", true}}, "qk_layernorm");
  expect("PhiForCausalLM", {{"hidden_act", "quick_gelu"}}, "quick_gelu");
  expect("PhiForCausalLM", {{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}}, "dynamic");
  expect("GPTNeoXForCausalLM", {{"rotary_pct", 1.5}}, "rotary_pct");
  expect("Starcoder2ForCausalLM", {{"num_key_value_heads", 5}}, "num_key_value_heads 5");
  expect("Starcoder2ForCausalLM", {{"partial_rotary_factor", 0.5}}, "partial rotary");
}

TEST(LayerNormFamilies, AFusedProjectionIsOneLinearAsItIsStored) {
  const auto shape_of = [](const char* architecture, const std::string& ending) {
    const ModelConfig config = parsed(architecture);
    const auto all = tensors_of(find_family(architecture), config);
    const auto found = std::ranges::find_if(
        all, [&](const NamedTensor& tensor) { return tensor.name.ends_with(ending); });
    return found == all.end() ? std::vector<int64_t>() : found->shape;
  };
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(shape_of("GPTNeoXForCausalLM", ".0.attention.query_key_value.weight"),
            (Shape{18432, 6144}));
  EXPECT_EQ(shape_of("GPT2LMHeadModel", ".0.attn.c_attn.weight"), (Shape{2304, 768}));
  EXPECT_EQ(shape_of("FalconForCausalLM", ".0.self_attention.query_key_value.weight"),
            (Shape{4672, 4544}));
}

TEST(LayerNormFamilies, BehindOneNormTheMlpReadsAttentionsInput) {
  const auto input_of_mlp = [](const char* architecture, const json& config) {
    const ModelConfig model = parsed(architecture, config);
    const BlockTable table = find_family(architecture).block(model, 0);
    const LinearSpec& query = table.linears.front();
    const auto mlp = std::ranges::find_if(
        table.linears, [](const LinearSpec& linear) { return linear.name.starts_with("mlp."); });
    EXPECT_EQ(query.input, 0);
    EXPECT_EQ(query.stage, mlp->stage);
    EXPECT_EQ(table.tensors.size(), 2 * static_cast<size_t>(mlp->input + 1));
    return mlp->input;
  };
  EXPECT_EQ(input_of_mlp("PhiForCausalLM", json::object()), 0);
  EXPECT_EQ(input_of_mlp("FalconForCausalLM", json::object()), 0);
  const json larger = {{"new_decoder_architecture", true}, {"num_kv_heads", 1}};
  EXPECT_EQ(input_of_mlp("FalconForCausalLM", larger), 1);
  json one_norm = larger;
  one_norm["num_ln_in_parallel_attn"] = 1;
  EXPECT_EQ(input_of_mlp("FalconForCausalLM", one_norm), 0);
}

TEST(LayerNormFamilies, SayWhyTheyCannotBeRotated) {
  for (const char* architecture : {"Starcoder2ForCausalLM", "GPTNeoXForCausalLM", "OPTForCausalLM",
                                   "GPT2LMHeadModel", "PhiForCausalLM", "FalconForCausalLM"})
    EXPECT_NE(std::string(find_family(architecture).unrotatable).find("LayerNorm"),
              std::string::npos)
        << architecture;
}

}  // namespace
}  // namespace halftone
