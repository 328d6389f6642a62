// Qwen3-MoE (Yang et al. 2025, arXiv 2505.09388): Qwen3's block with many small experts, none of
// them shared. Absent keys mean what transformers' Qwen3MoeConfig (5.24) fills in.
#include "model/config_values.h"
#include "model/mixture_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char* kNormMlp = "post_attention_layernorm.weight";
constexpr ExpertNames kNames = {"mlp.", "gate_proj", "up_proj", "down_proj"};
constexpr int kTensors = 4;  // of the dense block: its norms, and those of queries and keys

ModelConfig parse_qwen3_moe_config(const json& config) {
  json full = with_defaults(config, {{"max_position_embeddings", 32768},
                                     {"num_key_value_heads", 4},
                                     {"intermediate_size", 6144},
                                     {"moe_intermediate_size", 768},
                                     {"num_experts_per_tok", 8}});
  full.erase("mlp_bias");  // the class does not read it
  ModelConfig model = parse_llama_config(full);
  const bool none = config.contains("sliding_window") && !given(config, "sliding_window");
  if (flag_or(config, "use_sliding_window", false) && !none)  // in all layers
    model.sliding_window = positive_or(config, "sliding_window", 4096);
  parse_qwen_mixture(full, expert_count(full, 128), model);
  return model;
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return mixture_layer(qwen3_family().layer(config, index), config, index, kTensors);
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  return mixture_table(qwen3_family().block(config, index), config, index, kNames, kNormMlp);
}

}  // namespace

Family qwen3_moe_family() {
  Family family = mixture_family(llama_family());
  family.name = "qwen3_moe";
  family.architectures = {"Qwen3MoeForCausalLM"};
  family.parse_config = parse_qwen3_moe_config;
  family.layer = layer;
  family.block = block_table;
  return family;
}

}  // namespace halftone
