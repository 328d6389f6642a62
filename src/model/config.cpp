#include "model/config.h"

#include <cmath>

#include "base/error.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kLargestSize = int64_t{1}
                                 << 24;  // of any dimension in a config: far above any real model

constexpr const char *kQuantization = "quantization_config", *kOnlineRotation = "online_rotation";

bool given(const json& object, const char* key) {
  return object.contains(key) && !object.at(key).is_null();
}

std::string shown(const json& value) {
  return printable(value.dump(-1, ' ', true, json::error_handler_t::replace));
}

int64_t positive(const json& object, const char* key) {
  require(given(object, key), "config.json: {} is missing", key);
  const json& value = object.at(key);
  require(
      value.is_number_integer() && value.get<int64_t>() > 0 && value.get<int64_t>() <= kLargestSize,
      "config.json: {}: expected a whole number from 1 to {}, found {}", key, kLargestSize,
      shown(value));
  return value.get<int64_t>();
}

int64_t positive_or(const json& object, const char* key, int64_t otherwise) {
  return given(object, key) ? positive(object, key) : otherwise;
}

double number_or(const json& object, const char* key, double otherwise) {
  if (!given(object, key)) return otherwise;
  const json& value = object.at(key);
  require(value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() > 0,
          "config.json: {}: expected a number above 0, found {}", key, shown(value));
  return value.get<double>();
}

bool flag_or(const json& object, const char* key, bool otherwise) {
  if (!given(object, key)) return otherwise;
  require(object.at(key).is_boolean(), "config.json: {}: expected true or false, found {}", key,
          shown(object.at(key)));
  return object.at(key).get<bool>();
}

std::string text_or(const json& object, const char* key, const std::string& otherwise) {
  if (!given(object, key)) return otherwise;
  require(object.at(key).is_string(), "config.json: {}: expected a string, found {}", key,
          shown(object.at(key)));
  return object.at(key).get<std::string>();
}

std::optional<uint64_t> online_seed(const json& config) {
  if (!given(config, kQuantization) || !config.at(kQuantization).is_object()) return std::nullopt;
  const json& quantization = config.at(kQuantization);
  if (!given(quantization, kOnlineRotation)) return std::nullopt;
  const json& online = quantization.at(kOnlineRotation);
  require(online.is_object() && online.size() == 1 && online.contains("seed") &&
              online.at("seed").is_number_unsigned(),
          "config.json: {}: expected {{\"seed\": a whole number}}, found {}", kOnlineRotation,
          shown(online));
  return online.at("seed").get<uint64_t>();
}

// The old spelling has rope_theta at the top and rope_scaling {type or rope_type, ...}; the new one
// puts all of it into rope_parameters.
void parse_rope(const json& config, ModelConfig& model) {
  const char* key = given(config, "rope_parameters") ? "rope_parameters" : "rope_scaling";
  model.rope_theta = number_or(config, "rope_theta", 10000);
  if (!given(config, key)) return;
  const json& rope = config.at(key);
  require(rope.is_object(), "config.json: {}: expected an object, found {}", key, shown(rope));
  model.rope_theta = number_or(rope, "rope_theta", model.rope_theta);
  const std::string type = text_or(rope, "rope_type", text_or(rope, "type", "default"));
  require(number_or(rope, "partial_rotary_factor", 1) == 1,
          "config.json: {}: partial rotary embeddings are not supported", key);
  if (type == "default") return;
  require(type == "linear" || type == "llama3",
          "config.json: {}: rope type '{}' is not supported; supported are default, linear, llama3",
          key, printable(type));
  RopeScaling& scaling = model.rope_scaling;
  require(given(rope, "factor"), "config.json: {}: factor is missing", key);
  scaling.factor = number_or(rope, "factor", 1);
  scaling.kind = type == "linear" ? RopeScaling::Kind::kLinear : RopeScaling::Kind::kLlama3;
  if (type == "linear") return;
  scaling.low_frequency_factor = number_or(rope, "low_freq_factor", 1);
  scaling.high_frequency_factor = number_or(rope, "high_freq_factor", 4);
  scaling.original_context = positive(rope, "original_max_position_embeddings");
  require(scaling.high_frequency_factor > scaling.low_frequency_factor,
          "config.json: {}: high_freq_factor must be above low_freq_factor", key);
}

}  // namespace

std::string architecture_of(const json& config) {
  require(given(config, "architectures") && config.at("architectures").is_array() &&
              config.at("architectures").size() == 1 && config.at("architectures")[0].is_string(),
          "config.json: architectures: expected a list of one name, found {}",
          shown(config.value("architectures", json())));
  return config.at("architectures")[0].get<std::string>();
}

json online_rotation_json(uint64_t seed) {
  return {{kOnlineRotation, {{"seed", seed}}}};
}

ModelConfig parse_llama_config(const json& config) {
  ModelConfig model;
  model.architecture = architecture_of(config);
  model.layers = positive(config, "num_hidden_layers");
  model.hidden = positive(config, "hidden_size");
  model.intermediate = positive(config, "intermediate_size");
  model.vocab = positive(config, "vocab_size");
  model.context = positive_or(config, "max_position_embeddings", 2048);
  model.heads = positive(config, "num_attention_heads");
  model.kv_heads = positive_or(config, "num_key_value_heads", model.heads);
  if (!given(config, "head_dim")) {
    require(model.hidden % model.heads == 0,
            "config.json: hidden_size {} is not a multiple of num_attention_heads {}", model.hidden,
            model.heads);
  }
  model.head_dim = positive_or(config, "head_dim", model.hidden / model.heads);
  model.norm_epsilon = number_or(config, "rms_norm_eps", 1e-6);
  model.attention_bias = flag_or(config, "attention_bias", false);
  model.mlp_bias = flag_or(config, "mlp_bias", false);
  model.tied_embeddings = flag_or(config, "tie_word_embeddings", false);
  if (model.architecture == "MistralForCausalLM")
    model.sliding_window = positive_or(config, "sliding_window", 0);
  require(model.heads % model.kv_heads == 0,
          "config.json: num_attention_heads {} is not a multiple of num_key_value_heads {}",
          model.heads, model.kv_heads);
  require(model.head_dim % 2 == 0,
          "config.json: head_dim {}: rotary embeddings need an even number", model.head_dim);
  const std::string activation = text_or(config, "hidden_act", "silu");
  require(activation == "silu", "config.json: hidden_act '{}' is not supported; supported is silu",
          printable(activation));
  model.online_seed = online_seed(config);
  parse_rope(config, model);
  return model;
}

}  // namespace halftone
