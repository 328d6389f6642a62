// Phi-3 and Phi-4 (Abdin et al. 2024, arXiv 2404.14219; Phi-4-mini: Abouelenin et al. 2025, arXiv
// 2503.01743): Llama's block with queries, keys and values of one linear and gate and up of
// another; LongRoPE in those with a context of 128k, over a part of each head in Phi-4-mini. Absent
// keys mean what transformers' Phi3Config (5.24) fills in.
#include <cmath>

#include "base/error.h"
#include "model/config_values.h"
#include "model/gated_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char *kNormIn = "input_layernorm.weight",
                     *kNormMlp = "post_attention_layernorm.weight";
constexpr RopeKeys kRope = {.share_key = "partial_rotary_factor"};

// The key of the object that scales rotary embeddings, null for none: as config.cpp chooses it.
const char* scaling_key(const json& config) {
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (given(config, key) && config.at(key).is_object() && !config.at(key).empty()) return key;
  return nullptr;
}

// Old files call it su or yarn.
bool is_long(const json& rope) {
  const std::string type = text_or(rope, "rope_type", text_or(rope, "type", "default"));
  return type == "longrope" || type == "su" || type == "yarn";
}

std::vector<double> factors_of(const json& rope, const char* key, int64_t count) {
  const json list = rope.value(key, json());
  require(list.is_array() && list.size() == static_cast<size_t>(count),
          "config.json: {}: expected a list of {} numbers, one for two of a head's that rotate, "
          "found {}",
          key, count, shown(list));
  std::vector<double> factors;
  for (const json& each : list) {
    require(each.is_number() && each.get<double>() > 0 && std::isfinite(each.get<double>()),
            "config.json: {}: expected numbers above 0, found {}", key, shown(each));
    factors.push_back(each.get<double>());
  }
  return factors;
}

// The original context stands beside the object: one within it does not count. The factor is by how
// much the context is longer where it is not given.
RopeScaling long_scaling(const json& config, const json& rope, const ModelConfig& model) {
  RopeScaling scaling{.kind = RopeScaling::Kind::kLong};
  scaling.original_context = positive_or(config, "original_max_position_embeddings", 4096);
  scaling.short_factors = factors_of(rope, "short_factor", model.rotary_dim / 2);
  scaling.long_factors = factors_of(rope, "long_factor", model.rotary_dim / 2);
  const auto context = static_cast<double>(scaling.original_context);
  scaling.factor = number_or(rope, "factor", static_cast<double>(model.context) / context);
  const double amplitude =
      scaling.factor <= 1 ? 1 : std::sqrt(1 + std::log(scaling.factor) / std::log(context));
  scaling.amplitude = number_or(rope, "attention_factor", amplitude);
  return scaling;
}

ModelConfig parse_phi3_config(const json& config) {
  json full = with_defaults(config, {{"max_position_embeddings", 4096}, {"rms_norm_eps", 1e-5}});
  for (const char* key : {"attention_bias", "mlp_bias"})
    full.erase(key);  // the class reads neither
  const char* key = scaling_key(full);
  const json rope = key == nullptr ? json::object() : full.at(key);
  if (is_long(rope)) {  // the rest of the object is as in other families
    for (const char* name : {"type", "rope_type"}) full[key].erase(name);
  }
  ModelConfig model = parse_llama_config(full, kRope);
  if (is_long(rope)) model.rope_scaling = long_scaling(full, rope, model);
  model.sliding_window = positive_or(config, "sliding_window", 0);
  return model;
}

// Rotated as a whole: the values' heads are left as they are, since their rows are some of a
// linear's.
BlockTable block_table(const ModelConfig&, int64_t) {
  using enum Dim;
  using enum Rotation;
  return {.tensors = {{kNormIn, {kHidden}, kNorm}, {kNormMlp, {kHidden}, kNorm}},
          .linears = {
              {"self_attn.qkv_proj", kQueryKeyValue, kHidden, kGatedAttentionIn, kReader, kNormIn},
              {"self_attn.o_proj", kHidden, kQuery, kGatedAttentionOut, kWriter},
              {"mlp.gate_up_proj", kGateUp, kHidden, kGatedMlpIn, kReader, kNormMlp},
              {"mlp.down_proj", kHidden, kIntermediate, kGatedMlpOut, kProductWriter}}};
}

}  // namespace

Family phi3_family() {
  Family family = llama_family();
  family.name = "phi3";
  family.architectures = {"Phi3ForCausalLM"};
  family.parse_config = parse_phi3_config;
  family.block = block_table;
  return family;
}

}  // namespace halftone
