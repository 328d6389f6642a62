// GPT-OSS (OpenAI 2025, arXiv 2508.10925): Llama's block with sinks in attention, a window in every
// second layer, YaRN, and experts with biases and a clamped gate. Its folders hold the experts of a
// layer in one tensor, in MXFP4 as published, which checkpoint/fused_experts.h takes apart. Absent
// keys mean what transformers' GptOssConfig (5.24) fills in.
#include "model/config_values.h"
#include "model/mixture_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char* kNormMlp = "post_attention_layernorm.weight";
constexpr ExpertNames kNames = {"mlp.", "gate_proj", "up_proj", "down_proj", "router"};
constexpr int kSinks = 2, kTensors = 3;  // of the dense block: its norms, its sinks
constexpr RopeKeys kRope = {.yarn = true};

ModelConfig parse_gpt_oss_config(const json& config) {
  json full = with_defaults(config, {{"max_position_embeddings", 131072},
                                     {"num_key_value_heads", 8},
                                     {"head_dim", 64},
                                     {"intermediate_size", 2880},
                                     {"rms_norm_eps", 1e-5},
                                     {"rope_theta", 150000},
                                     {"attention_bias", true},
                                     {"sliding_window", 128},
                                     {"num_experts_per_tok", 4}});
  full.erase("mlp_bias");  // the class does not read it
  if (!given(full, "rope_scaling") && !given(full, "rope_parameters"))
    full["rope_scaling"] = {{"rope_type", "yarn"},
                            {"factor", 32},
                            {"truncate", false},
                            {"original_max_position_embeddings", 4096}};
  ModelConfig model = parse_llama_config(full, kRope);
  model.sliding_window = positive_or(full, "sliding_window", 0);
  model.windowed =
      windowed_layers(full, model.layers, [](int64_t layer) { return layer % 2 == 0; });
  model.gate_clamp = {.slope = number_or(full, "swiglu_alpha", 1.702),
                      .limit = number_or(full, "swiglu_limit", 7)};
  model.mixture = {.experts = expert_count(full, 128),
                   .per_token = positive(full, "num_experts_per_tok"),
                   .intermediate = model.intermediate,
                   .renormalized = true,
                   .biased = true};
  require_experts(model.mixture);
  return model;
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  LayerConfig layer = llama_family().layer(config, index);
  layer.sinks = kSinks;
  return mixture_layer(layer, config, index, kTensors);
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = llama_family().block(config, index);
  table.tensors.push_back({"self_attn.sinks", {Dim::kHeads}});
  return mixture_table(std::move(table), config, index, kNames, kNormMlp);
}

}  // namespace

Family gpt_oss_family() {
  Family family = mixture_family(llama_family());
  family.name = "gpt_oss";
  family.architectures = {"GptOssForCausalLM"};
  family.parse_config = parse_gpt_oss_config;
  family.layer = layer;
  family.block = block_table;
  return family;
}

}  // namespace halftone
