// Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024, arXiv 2407.10671): Qwen2's block with many small
// experts and one that every token goes to, weighed by a gate of its own. Absent keys mean what
// transformers' Qwen2MoeConfig (5.24) fills in.
#include <algorithm>

#include "base/error.h"
#include "model/config_values.h"
#include "model/mixture_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char* kNormMlp = "post_attention_layernorm.weight";
constexpr ExpertNames kNames = {"mlp.", "gate_proj", "up_proj", "down_proj"};
constexpr int kTensors = 2;  // of the dense block: its norms

// Every second layer from the first on, below max_window_layers, where use_sliding_window asks.
void parse_window(const json& config, ModelConfig& model) {
  const bool asked = flag_or(config, "use_sliding_window", false);
  const int64_t below = given(config, "max_window_layers") && config.at("max_window_layers") == 0
                            ? 0
                            : positive_or(config, "max_window_layers", 28);
  const std::vector<bool> windowed = windowed_layers(
      config, model.layers, [&](int64_t layer) { return layer % 2 == 0 && layer < below; });
  const bool none = config.contains("sliding_window") && !given(config, "sliding_window");
  if (!asked || none) {
    require(!given(config, "layer_types") ||
                std::find(windowed.begin(), windowed.end(), true) == windowed.end(),
            "config.json: layer_types names sliding_attention, yet use_sliding_window or "
            "sliding_window says that there is no window");
    return;
  }
  model.sliding_window = positive_or(config, "sliding_window", 4096);
  model.windowed = windowed;
}

ModelConfig parse_qwen2_moe_config(const json& config) {
  json full = with_defaults(config, {{"max_position_embeddings", 32768},
                                     {"num_key_value_heads", 16},
                                     {"intermediate_size", 5632},
                                     {"moe_intermediate_size", 1408},
                                     {"shared_expert_intermediate_size", 5632},
                                     {"num_experts_per_tok", 4}});
  full["attention_bias"] = flag_or(full, "qkv_bias", true);
  full.erase("mlp_bias");  // the class does not read it
  ModelConfig model = parse_llama_config(full);
  parse_window(config, model);
  parse_qwen_mixture(full, positive_or(full, "num_experts", 60), model);
  model.mixture.shared = positive(full, "shared_expert_intermediate_size");
  return model;
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return mixture_layer(llama_family().layer(config, index), config, index, kTensors);
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = qwen2_family().block(config, index);
  for (LinearSpec& linear : table.linears)
    if (!config.attention_bias) linear.bias = Presence::kNever;
  return mixture_table(std::move(table), config, index, kNames, kNormMlp);
}

}  // namespace

Family qwen2_moe_family() {
  Family family = mixture_family(llama_family());
  family.name = "qwen2_moe";
  family.architectures = {"Qwen2MoeForCausalLM"};
  family.parse_config = parse_qwen2_moe_config;
  family.layer = layer;
  family.block = block_table;
  return family;
}

}  // namespace halftone
