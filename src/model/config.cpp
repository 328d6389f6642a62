#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "model/config_values.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kLargestSize = int64_t{1}
                                 << 24;  // of any dimension in a config: far above any real model

constexpr const char *kQuantization = "quantization_config", *kOnlineRotation = "online_rotation";

}  // namespace

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

double number_or_none(const json& object, const char* key, double otherwise) {
  return object.contains(key) ? number_or(object, key, 0) : otherwise;
}

json with_defaults(json config, std::initializer_list<std::pair<const char*, json>> defaults) {
  for (const auto& [key, value] : defaults)
    if (!config.contains(key)) config[key] = value;
  return config;
}

std::vector<bool> windowed_layers(const json& config, int64_t layers,
                                  const std::function<bool(int64_t)>& otherwise) {
  std::vector<bool> windowed;
  if (!given(config, "layer_types")) {
    for (int64_t i = 0; i < layers; ++i) windowed.push_back(otherwise(i));
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

Activation activation_or(const json& object, const char* key, const std::string& otherwise) {
  // gelu_new and gelu_fast are the tanh form, written in other ways
  static const std::map<std::string, Activation> known = {
      {"silu", Activation::kSilu},          {"swish", Activation::kSilu},
      {"gelu", Activation::kGelu},          {"gelu_new", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh}, {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"relu", Activation::kRelu}};
  const std::string name = text_or(object, key, otherwise);
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::string names;
  for (const auto& [each, activation] : known) names += (names.empty() ? "" : ", ") + each;
  fail("config.json: {} '{}' is not supported; supported are {}", key, printable(name), names);
}

namespace {

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

// What an absent key means: LlamaConfig's and MistralConfig's own values.
// kv_heads 0: as many as heads; sliding_window 0: none.
struct Defaults {
  int64_t context, kv_heads, sliding_window;
};

Defaults defaults_of(const std::string& architecture) {
  if (architecture == "MistralForCausalLM")
    return {.context = 4096 * 32, .kv_heads = 8, .sliding_window = 4096};
  return {.context = 2048, .kv_heads = 0, .sliding_window = 0};
}

// Only an absent key takes the default; null means one key/value head a head.
void parse_heads(const json& config, int64_t default_kv_heads, ModelConfig& model) {
  model.heads = positive(config, "num_attention_heads");
  const bool absent = !config.contains("num_key_value_heads") && default_kv_heads > 0;
  model.kv_heads =
      absent ? default_kv_heads : positive_or(config, "num_key_value_heads", model.heads);
  require(model.heads % model.kv_heads == 0,
          "config.json: num_attention_heads {} is not a multiple of num_key_value_heads {}{}",
          model.heads, model.kv_heads,
          absent ? fmt::format(", which {} has where the key is absent", model.architecture) : "");
  if (!given(config, "head_dim")) {
    require(model.hidden % model.heads == 0,
            "config.json: hidden_size {} is not a multiple of num_attention_heads {}", model.hidden,
            model.heads);
  }
  model.head_dim = positive_or(config, "head_dim", model.hidden / model.heads);
  require(model.head_dim % 2 == 0,
          "config.json: head_dim {}: rotary embeddings need an even number", model.head_dim);
}

// Mistral's window: null says none, an absent key does not.
int64_t parse_window(const json& config, const Defaults& defaults) {
  if (defaults.sliding_window == 0) return 0;  // the architecture has none
  return config.contains("sliding_window") ? positive_or(config, "sliding_window", 0)
                                           : defaults.sliding_window;
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

void parse_upper_window(const json& config, ModelConfig& model) {
  constexpr int64_t kWindow = 4096, kFullLayers = 28;
  const bool none = config.contains("sliding_window") && !given(config, "sliding_window");
  const bool asked = flag_or(config, "use_sliding_window", false) && !none;
  const std::vector<bool> windowed = windowed_layers(config, model.layers, [&](int64_t layer) {
    const char* key = "max_window_layers";
    const bool zero = given(config, key) && config.at(key) == 0;
    return zero || layer >= positive_or(config, key, kFullLayers);
  });
  const bool any = std::find(windowed.begin(), windowed.end(), true) != windowed.end();
  require(asked || !any || !given(config, "layer_types"),
          "config.json: layer_types names sliding_attention, yet use_sliding_window or "
          "sliding_window says that there is no window");
  if (!asked || !any) return;
  model.sliding_window = positive_or(config, "sliding_window", kWindow);
  model.windowed = windowed;
}

ModelConfig parse_llama_config(const json& config, const RopeKeys& rope) {
  ModelConfig model;
  model.architecture = architecture_of(config);
  const Defaults defaults = defaults_of(model.architecture);
  model.layers = positive(config, "num_hidden_layers");
  model.hidden = positive(config, "hidden_size");
  model.intermediate = positive(config, "intermediate_size");
  model.vocab = positive(config, "vocab_size");
  model.context = positive_or(config, "max_position_embeddings", defaults.context);
  parse_heads(config, defaults.kv_heads, model);
  model.sliding_window = parse_window(config, defaults);
  model.norm_epsilon = number_or(config, "rms_norm_eps", 1e-6);
  model.attention_bias = flag_or(config, "attention_bias", false);
  model.mlp_bias = flag_or(config, "mlp_bias", false);
  model.tied_embeddings = flag_or(config, "tie_word_embeddings", false);
  const std::string activation = text_or(config, "hidden_act", "silu");
  require(activation == "silu", "config.json: hidden_act '{}' is not supported; supported is silu",
          printable(activation));
  model.online_seed = online_seed(config);
  model.embedding_width = model.hidden;
  parse_rope(config, rope, model);
  return model;
}

ModelConfig parse_llama_config(const json& config) {
  return parse_llama_config(config, {});
}

}  // namespace halftone
