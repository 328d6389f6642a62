// Llama 1-3.x, Mistral, SmolLM2 (Touvron et al. 2023; Jiang et al. 2023): pre-norm blocks, rotary
// attention with grouped key/value heads, gated silu.
#include "model/gated_block.h"

namespace halftone {
namespace {

constexpr const char* kNormIn = "input_layernorm.weight";
constexpr const char* kNormMlp = "post_attention_layernorm.weight";
constexpr const char* kFinalNorm = "model.norm.weight";

enum Tensor { kInput, kMlp };  // in the order of the table below

// MistralForCausalLM has no biases in the library, whatever is stored.
Presence attention_bias(const ModelConfig& config) {
  const bool none = config.architecture == "MistralForCausalLM" && !config.attention_bias;
  return none ? Presence::kNever : Presence::kAttentionBias;
}

Presence mlp_bias(const ModelConfig& config) {
  const bool none = config.architecture == "MistralForCausalLM" && !config.mlp_bias;
  return none ? Presence::kNever : Presence::kMlpBias;
}

BlockTable block_table(const ModelConfig& config, int64_t) {
  using enum Dim;
  using enum Rotation;
  const Presence attention = attention_bias(config), mlp = mlp_bias(config);
  return {
      .tensors = {{kNormIn, {kHidden}, kNorm}, {kNormMlp, {kHidden}, kNorm}},
      .linears = {
          {"self_attn.q_proj", kQuery, kHidden, kGatedAttentionIn, kReader, kNormIn, attention},
          {"self_attn.k_proj", kKeyValue, kHidden, kGatedAttentionIn, kReader, kNormIn, attention},
          {"self_attn.v_proj", kKeyValue, kHidden, kGatedAttentionIn, kValue, kNormIn, attention},
          {"self_attn.o_proj", kHidden, kQuery, kGatedAttentionOut, kHeadMixer, "", attention},
          {"mlp.gate_proj", kIntermediate, kHidden, kGatedMlpIn, kReader, kNormMlp, mlp},
          {"mlp.up_proj", kIntermediate, kHidden, kGatedMlpIn, kReader, kNormMlp, mlp},
          {"mlp.down_proj", kHidden, kIntermediate, kGatedMlpOut, kProductWriter, "", mlp}}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  LayerConfig layer = gated_layer(config, index);
  layer.norms = {.attention_in = kInput, .mlp_in = kMlp};
  return layer;
}

}  // namespace

Family llama_family() {
  using enum Dim;
  using enum Rotation;
  return {
      .name = "llama",
      .architectures = {"LlamaForCausalLM", "MistralForCausalLM"},
      .parse_config = parse_llama_config,
      .layer = layer,
      .block_prefix = "model.layers.",
      .embedding = "model.embed_tokens.weight",
      .head = "lm_head.weight",
      .outer = {{"model.embed_tokens.weight", {kVocab, kHidden}, kEmbedding},
                {kFinalNorm, {kHidden}, kNorm},
                {"lm_head.weight", {kVocab, kHidden}, kReader, Presence::kUntied, kFinalNorm}},
      .block = block_table,
      .ignored = {".rotary_emb.inv_freq"},
      .stages = kGatedStages,
      .parts = {{"input of the next stage", {kQuery, kIntermediate}}},
      .positions = gated_positions,
      .embed = gated_embed,
      .inputs = gated_inputs,
      .advance = gated_advance,
      .head_input = gated_head_input,
      .logits = gated_logits,
  };
}

}  // namespace halftone
