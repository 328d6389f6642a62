// Gemma 3, text (Gemma Team 2025, arXiv 2503.19786): Gemma 2's block with queries and keys
// normalized head by head and scores not capped; five layers of six have a window, and a rotary
// base of their own. Absent keys mean what transformers' Gemma3TextConfig (5.24) fills in.
#include "base/error.h"
#include "model/config_values.h"
#include "model/family.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char *kFull = "full_attention", *kSliding = "sliding_attention";

// Of rope_parameters, which lists a type of layers each.
json rope_of(const json& config, const char* type) {
  if (!given(config, "rope_parameters")) return json::object();
  const json& all = config.at("rope_parameters");
  require(all.is_object() && (all.empty() || all.contains(kFull) || all.contains(kSliding)),
          "config.json: rope_parameters: expected {} and {}, found {}", kFull, kSliding,
          shown(all));
  const json found = given(all, type) ? all.at(type) : json::object();
  require(found.is_object(), "config.json: rope_parameters: {}: expected an object, found {}", type,
          shown(found));
  return found;
}

// rope_scaling (the old spelling) is of full layers alone.
json rope_of_full_layers(const json& config) {
  json rope = rope_of(config, kFull);
  if (given(config, "rope_scaling")) {
    require(config.at("rope_scaling").is_object(),
            "config.json: rope_scaling: expected an object, found {}",
            shown(config.at("rope_scaling")));
    rope.update(config.at("rope_scaling"));
  }
  return with_defaults(std::move(rope), {{"rope_theta", number_or(config, "rope_theta", 1e6)}});
}

double base_of_windowed_layers(const json& config) {
  const json rope = rope_of(config, kSliding);
  const std::string type = text_or(rope, "rope_type", "default");
  require(type == "default",
          "config.json: rope_parameters: {}: rope type '{}' is not supported; supported is default",
          kSliding, printable(type));
  return number_or(rope, "rope_theta", number_or(config, "rope_local_base_freq", 1e4));
}

ModelConfig parse_gemma3_config(const json& config) {
  const char* cap = "attn_logit_softcapping";  // which the library reads and does not use
  require(!given(config, cap), "config.json: {} {} is not supported; supported is null", cap,
          shown(config.value(cap, json())));
  json full = with_defaults(config, {{"max_position_embeddings", 131072}});
  full["rope_parameters"] = rope_of_full_layers(config);
  full.erase("rope_scaling");
  ModelConfig model = parse_gemma_config(full);
  model.local_rope_theta = base_of_windowed_layers(config);
  const int64_t pattern = positive_or(config, "sliding_window_pattern", 6);
  model.windowed = windowed_layers(config, model.layers,
                                   [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  model.logit_cap = number_or_none(config, "final_logit_softcapping", 0);
  return model;
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  LayerConfig layer = gemma2_family().layer(config, index);
  const auto tensors = static_cast<int>(gemma2_family().block(config, index).tensors.size());
  layer.norms.query = tensors;
  layer.norms.key = tensors + 1;
  return layer;
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = gemma2_family().block(config, index);
  for (const char* name : {"self_attn.q_norm.weight", "self_attn.k_norm.weight"})
    table.tensors.push_back({name, {Dim::kHeadDim}});
  return table;
}

}  // namespace

Family gemma3_family() {
  Family family = gemma2_family();
  family.name = "gemma3";
  family.architectures = {"Gemma3ForCausalLM"};
  family.parse_config = parse_gemma3_config;
  family.layer = layer;
  family.block = block_table;
  return family;
}

}  // namespace halftone
