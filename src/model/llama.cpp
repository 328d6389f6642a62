// Llama 1-3.x, Mistral, SmolLM2 (Touvron et al. 2023; Jiang et al. 2023): pre-norm blocks, rotary
// attention with grouped key/value heads, gated silu.
#include <ATen/ATen.h>

#include "model/compute.h"
#include "model/family.h"

namespace halftone {
namespace {

constexpr const char* kNormIn = "input_layernorm.weight";
constexpr const char* kNormMlp = "post_attention_layernorm.weight";

enum Stage { kAttentionIn, kAttentionOut, kMlpIn, kMlpOut, kStages };

at::Tensor apply(const Block& block, const char* linear, const at::Tensor& x) {
  const auto bias = block.tensors.find(std::string(linear) + ".bias");
  const at::Tensor output =
      at::linear(x, block.weight(std::string(linear) + ".weight"),
                 bias == block.tensors.end() ? std::optional<at::Tensor>() : bias->second);
  if (block.tap) block.tap(linear, output);
  return output;
}

// x R in float32: of narrower types only the result is rounded.
at::Tensor rotate_online(const at::Tensor& x, const KroneckerMatrix& rotation) {
  return multiply(widened(x), rotation).to(x.scalar_type());
}

at::Tensor stage_input(const Block& block, int stage, const BlockState& state) {
  const double epsilon = block.config->norm_epsilon;
  switch (stage) {
    case kAttentionIn:
      return rms_norm(state.hidden, block.weight(kNormIn), epsilon);
    case kMlpIn:
      return rms_norm(state.hidden, block.weight(kNormMlp), epsilon);
    default:
      return state.carry;
  }
}

void advance(const Block& block, int stage, const at::Tensor& input, BlockState& state) {
  switch (stage) {
    case kAttentionIn:
      state.carry = causal_attention(
          apply(block, "self_attn.q_proj", input), apply(block, "self_attn.k_proj", input),
          apply(block, "self_attn.v_proj", input), *block.rope, *block.config);
      break;
    case kAttentionOut:
      state.hidden = state.hidden + apply(block, "self_attn.o_proj", input);
      state.carry = at::Tensor();
      break;
    case kMlpIn:
      state.carry =
          gated_silu(apply(block, "mlp.gate_proj", input), apply(block, "mlp.up_proj", input));
      if (block.online) state.carry = rotate_online(state.carry, *block.online);
      break;
    case kMlpOut:
      state.hidden = state.hidden + apply(block, "mlp.down_proj", input);
      state.carry = at::Tensor();
      break;
  }
}

at::Tensor normalize(const at::Tensor& hidden, const at::Tensor& weight,
                     const ModelConfig& config) {
  return rms_norm(hidden, weight, config.norm_epsilon);
}

}  // namespace

Family llama_family() {
  using enum Dim;
  using enum Presence;
  using enum Rotation;
  return {
      .name = "llama",
      .architectures = {"LlamaForCausalLM", "MistralForCausalLM"},
      .parse_config = parse_llama_config,
      .block_prefix = "model.layers.",
      .embedding = "model.embed_tokens.weight",
      .final_norm = "model.norm.weight",
      .head = "lm_head.weight",
      .outer = {{"model.embed_tokens.weight", {kVocab, kHidden}, kAlways, -1, kEmbedding},
                {"model.norm.weight", {kHidden}, kAlways, -1, kNorm},
                {"lm_head.weight", {kVocab, kHidden}, kUntied, -1, kReader, "model.norm.weight"}},
      .block =
          {{"input_layernorm.weight", {kHidden}, kAlways, -1, kNorm},
           {"self_attn.q_proj.weight", {kQuery, kHidden}, kAlways, kAttentionIn, kReader, kNormIn},
           {"self_attn.q_proj.bias", {kQuery}, kAttentionBias},
           {"self_attn.k_proj.weight",
            {kKeyValue, kHidden},
            kAlways,
            kAttentionIn,
            kReader,
            kNormIn},
           {"self_attn.k_proj.bias", {kKeyValue}, kAttentionBias},
           {"self_attn.v_proj.weight",
            {kKeyValue, kHidden},
            kAlways,
            kAttentionIn,
            kValue,
            kNormIn},
           {"self_attn.v_proj.bias", {kKeyValue}, kAttentionBias, -1, kValue},
           {"self_attn.o_proj.weight", {kHidden, kQuery}, kAlways, kAttentionOut, kHeadMixer},
           {"self_attn.o_proj.bias", {kHidden}, kAttentionBias, -1, kWriter},
           {"post_attention_layernorm.weight", {kHidden}, kAlways, -1, kNorm},
           {"mlp.gate_proj.weight", {kIntermediate, kHidden}, kAlways, kMlpIn, kReader, kNormMlp},
           {"mlp.gate_proj.bias", {kIntermediate}, kMlpBias},
           {"mlp.up_proj.weight", {kIntermediate, kHidden}, kAlways, kMlpIn, kReader, kNormMlp},
           {"mlp.up_proj.bias", {kIntermediate}, kMlpBias},
           {"mlp.down_proj.weight", {kHidden, kIntermediate}, kAlways, kMlpOut, kProductWriter},
           {"mlp.down_proj.bias", {kHidden}, kMlpBias, -1, kWriter}},
      .ignored = {".rotary_emb.inv_freq"},
      .stages = kStages,
      .stage_input = stage_input,
      .advance = advance,
      .normalize = normalize,
  };
}

}  // namespace halftone
