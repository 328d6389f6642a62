// OLMo 2 (OLMo Team 2025, arXiv 2501.00656): attention and MLP read the residual stream as it is
// and are normalized before they are added to it; queries and keys are normalized over all heads.
// Absent keys mean what transformers' Olmo2Config (5.24) fills in.
#include "model/config_values.h"
#include "model/gated_block.h"

namespace halftone {
namespace {

enum Tensor {
  kAfterAttention,
  kAfterMlp,
  kQueryNorm,
  kKeyNorm
};  // in the order of the table below

ModelConfig parse_olmo2_config(const nlohmann::json& config) {
  nlohmann::json full = with_defaults(config, {{"rms_norm_eps", 1e-5}});
  full.erase("mlp_bias");  // the class does not read it
  return parse_llama_config(full);
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  LayerConfig layer = gated_layer(config, index);
  layer.norms = {
      .attention_out = kAfterAttention, .mlp_out = kAfterMlp, .query = kQueryNorm, .key = kKeyNorm};
  return layer;
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  using enum Dim;
  BlockTable table = without_mlp_biases(llama_family().block(config, index));
  table.tensors = {{"post_attention_layernorm.weight", {kHidden}},
                   {"post_feedforward_layernorm.weight", {kHidden}},
                   {"self_attn.q_norm.weight", {kQuery}},
                   {"self_attn.k_norm.weight", {kKeyValue}}};
  return without_rotation(std::move(table));
}

}  // namespace

Family olmo2_family() {
  Family family = llama_family();
  family.name = "olmo2";
  family.architectures = {"Olmo2ForCausalLM"};
  family.parse_config = parse_olmo2_config;
  family.layer = layer;
  family.block = block_table;
  family.unrotatable = "a norm behind attention and MLP scales what is added to the stream";
  return family;
}

}  // namespace halftone
