#include "model/decoder_config.h"

#include "base/error.h"
#include "model/config_values.h"

namespace halftone {

using nlohmann::json;

ModelConfig parse_decoder(const json& config, const DecoderKeys& keys) {
  const auto size = [&](const SizeKey& key) {
    return positive_or(config, key.name, key.otherwise);
  };
  ModelConfig model;
  model.architecture = architecture_of(config);
  model.layers = size(keys.layers);
  model.hidden = size(keys.hidden);
  model.vocab = size(keys.vocab);
  model.context = size(keys.context);
  model.intermediate = size(keys.intermediate);
  if (model.intermediate == 0) model.intermediate = 4 * model.hidden;
  model.embedding_width = model.hidden;
  model.heads = model.kv_heads = size(keys.heads);
  require(model.hidden % model.heads == 0, "config.json: {} {} is not a multiple of {} {}",
          keys.hidden.name, model.hidden, keys.heads.name, model.heads);
  model.head_dim = model.hidden / model.heads;
  model.norm_epsilon = keys.epsilon != nullptr ? number_or(config, keys.epsilon, 1e-5) : 1e-5;
  model.activation = activation_or(config, keys.activation, keys.activation_otherwise);
  model.tied_embeddings = flag_or(config, "tie_word_embeddings", keys.tied);
  return model;
}

void share_heads(int64_t kv_heads, const char* key, ModelConfig& model) {
  require(model.heads % kv_heads == 0,
          "config.json: {} attention heads are not a multiple of {} {}", model.heads, key,
          kv_heads);
  model.kv_heads = kv_heads;
}

void require_flags(const json& config, std::initializer_list<std::pair<const char*, bool>> only) {
  for (const auto& [key, value] : only)
    require(flag_or(config, key, value) == value,
            "config.json: {}: expected {}, found {}: not supported", key, value, !value);
}

}  // namespace halftone
