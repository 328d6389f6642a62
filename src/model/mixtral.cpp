// Mixtral (Jiang et al. 2024, arXiv 2401.04088): Mistral's block with a few experts in the place of
// its MLP, whose weights are those of the softmax over the chosen ones. Absent keys mean what
// transformers' MixtralConfig (5.24) fills in.
#include "model/config_values.h"
#include "model/mixture_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char* kNormMlp = "post_attention_layernorm.weight";
constexpr ExpertNames kNames = {"block_sparse_moe.", "w1", "w3", "w2"};
constexpr int kTensors = 2;  // of the dense block: its norms

ModelConfig parse_mixtral_config(const json& config) {
  json full = with_defaults(config, {{"max_position_embeddings", 4096 * 32},
                                     {"num_key_value_heads", 8},
                                     {"intermediate_size", 14336},
                                     {"rms_norm_eps", 1e-5},
                                     {"rope_theta", 1e6},
                                     {"num_experts_per_tok", 2}});
  for (const char* key : {"attention_bias", "mlp_bias"})
    full.erase(key);  // the class reads neither
  ModelConfig model = parse_llama_config(full);
  if (given(full, "sliding_window")) model.sliding_window = positive(full, "sliding_window");
  model.mixture = {.experts = expert_count(full, 8),
                   .per_token = positive(full, "num_experts_per_tok"),
                   .intermediate = model.intermediate,
                   .renormalized = true};
  require_experts(model.mixture);
  return model;
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return mixture_layer(llama_family().layer(config, index), config, index, kTensors);
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = llama_family().block(config, index);
  for (LinearSpec& linear : table.linears) linear.bias = Presence::kNever;
  return mixture_table(std::move(table), config, index, kNames, kNormMlp);
}

}  // namespace

Family mixtral_family() {
  Family family = mixture_family(llama_family());
  family.name = "mixtral";
  family.architectures = {"MixtralForCausalLM"};
  family.parse_config = parse_mixtral_config;
  family.layer = layer;
  family.block = block_table;
  return family;
}

}  // namespace halftone
