// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671, 2412.15115): Llama's block with biases on
// queries, keys and values, and a window in the upper layers where use_sliding_window asks for it.
// Absent keys mean what transformers' Qwen2Config (5.24) fills in.
#include <algorithm>

#include "base/error.h"
#include "model/config_values.h"
#include "model/family.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kContext = 32768, kKeyValueHeads = 32, kWindow = 4096, kFullLayers = 28;

// By layer, whether it has the window: as `layer_types` lists it, or from max_window_layers on.
std::vector<bool> windowed_layers(const json& config, int64_t layers) {
  std::vector<bool> windowed;
  if (!given(config, "layer_types")) {
    const char* key = "max_window_layers";
    const int64_t full =
        given(config, key) && config.at(key) == 0 ? 0 : positive_or(config, key, kFullLayers);
    for (int64_t i = 0; i < layers; ++i) windowed.push_back(i >= full);
    return windowed;
  }
  const json& types = config.at("layer_types");
  require(types.is_array() && types.size() == static_cast<size_t>(layers),
          "config.json: layer_types: expected a list of {} names, found {}", layers, shown(types));
  for (const json& type : types) {
    require(type == "sliding_attention" || type == "full_attention",
            "config.json: layer_types: expected full_attention or sliding_attention, found {}",
            shown(type));
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

void parse_window(const json& config, ModelConfig& model) {
  const bool none = config.contains("sliding_window") && !given(config, "sliding_window");
  const bool asked = flag_or(config, "use_sliding_window", false) && !none;
  const std::vector<bool> windowed = windowed_layers(config, model.layers);
  const bool any = std::find(windowed.begin(), windowed.end(), true) != windowed.end();
  require(asked || !any || !given(config, "layer_types"),
          "config.json: layer_types names sliding_attention, yet use_sliding_window or "
          "sliding_window says that there is no window");
  if (!asked || !any) return;
  model.sliding_window = positive_or(config, "sliding_window", kWindow);
  model.windowed = windowed;
}

ModelConfig parse_qwen2_config(const json& config) {
  json full = config;
  for (const auto& [key, value] : {std::pair{"max_position_embeddings", kContext},
                                   std::pair{"num_key_value_heads", kKeyValueHeads}})
    if (!config.contains(key)) full[key] = value;
  for (const char* key : {"attention_bias", "mlp_bias"})
    full.erase(key);  // the class reads neither
  ModelConfig model = parse_llama_config(full);
  parse_window(config, model);
  return model;
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = llama_family().block(config, index);
  for (LinearSpec& linear : table.linears) {
    const bool reads_stream =
        linear.name.starts_with("self_attn.") && linear.name != "self_attn.o_proj";
    linear.bias = reads_stream ? Presence::kAlways : Presence::kNever;
  }
  return table;
}

}  // namespace

Family qwen2_family() {
  Family family = llama_family();
  family.name = "qwen2";
  family.architectures = {"Qwen2ForCausalLM"};
  family.parse_config = parse_qwen2_config;
  family.block = block_table;
  return family;
}

}  // namespace halftone
