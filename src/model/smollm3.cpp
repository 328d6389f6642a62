// SmolLM3 (Bakouch et al. 2025): Llama's block; in every fourth layer positions turn nothing (Yang
// et al. 2025, arXiv 2501.18795), or in those that no_rope_layers gives a 0. Absent keys mean what
// transformers' SmolLM3Config (5.24) fills in.
#include "base/error.h"
#include "model/config_values.h"
#include "model/family.h"

namespace halftone {
namespace {

using nlohmann::json;

std::vector<bool> rotary_layers(const json& config, int64_t layers) {
  std::vector<bool> rotary;
  const char* key = "no_rope_layers";
  if (!given(config, key)) {
    const int64_t interval = positive_or(config, "no_rope_layer_interval", 4);
    for (int64_t i = 0; i < layers; ++i) rotary.push_back((i + 1) % interval != 0);
    return rotary;
  }
  const json& list = config.at(key);
  require(list.is_array() && list.size() >= static_cast<size_t>(layers),
          "config.json: {}: expected a list of {} numbers, found {}", key, layers, shown(list));
  for (int64_t i = 0; i < layers; ++i) {
    const json& value = list[static_cast<size_t>(i)];
    require(value == 0 || value == 1, "config.json: {}: expected 0 or 1, found {}", key,
            shown(value));
    rotary.push_back(value == 1);
  }
  return rotary;
}

ModelConfig parse_smollm3_config(const json& config) {
  ModelConfig model = parse_llama_config(with_defaults(config, {{"max_position_embeddings", 32768},
                                                                {"num_key_value_heads", 4},
                                                                {"rope_theta", 2e6},
                                                                {"tie_word_embeddings", true}}));
  model.rotary = rotary_layers(config, model.layers);
  const bool window = flag_or(config, "use_sliding_window", false);
  if (!window || !given(config, "sliding_window")) return model;
  model.sliding_window = positive(config, "sliding_window");
  model.windowed =
      windowed_layers(config, model.layers, [&](int64_t layer) { return !model.is_rotary(layer); });
  return model;
}

}  // namespace

Family smollm3_family() {
  Family family = llama_family();
  family.name = "smollm3";
  family.architectures = {"SmolLM3ForCausalLM"};
  family.parse_config = parse_smollm3_config;
  return family;
}

}  // namespace halftone
