// Phi-3 and Phi-4 (Abdin et al. 2024, arXiv 2404.14219): Llama's block with queries, keys and
// values of one linear and gate and up of another. Absent keys mean what transformers' Phi3Config
// (5.24) fills in.
#include "model/config_values.h"
#include "model/gated_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char *kNormIn = "input_layernorm.weight",
                     *kNormMlp = "post_attention_layernorm.weight";

ModelConfig parse_phi3_config(const json& config) {
  json full = with_defaults(config, {{"max_position_embeddings", 4096}, {"rms_norm_eps", 1e-5}});
  for (const char* key : {"attention_bias", "mlp_bias"})
    full.erase(key);  // the class reads neither
  ModelConfig model = parse_llama_config(full);
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
