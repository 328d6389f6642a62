// Granite 3 (IBM 2024): Llama's block, with the embedding, what is added to the residual stream,
// the scores of attention and the logits each multiplied by a number of the config. Absent keys
// mean what transformers' GraniteConfig (5.24) fills in.
#include "model/config_values.h"
#include "model/family.h"

namespace halftone {
namespace {

ModelConfig parse_granite_config(const nlohmann::json& config) {
  ModelConfig model = parse_llama_config(config);
  model.embedding_scale = number_or(config, "embedding_multiplier", 1);
  model.residual_scale = number_or(config, "residual_multiplier", 1);
  model.attention_scale = number_or(config, "attention_multiplier", 1);
  model.logit_divisor = number_or(config, "logits_scaling", 1);
  return model;
}

}  // namespace

Family granite_family() {
  Family family = llama_family();
  family.name = "granite";
  family.architectures = {"GraniteForCausalLM"};
  family.parse_config = parse_granite_config;
  return family;
}

}  // namespace halftone
