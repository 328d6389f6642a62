// Llama 1-3.x, Mistral, SmolLM2 (Touvron et al. 2023; Jiang et al. 2023): pre-norm blocks, rotary
// attention with grouped key/value heads, gated silu.
#include "model/family.h"

namespace halftone {
namespace {

constexpr const char* kNormIn = "input_layernorm.weight";
constexpr const char* kNormMlp = "post_attention_layernorm.weight";
constexpr const char* kFinalNorm = "model.norm.weight";

enum Stage { kAttentionIn, kAttentionOut, kMlpIn, kMlpOut, kStages };

// In the order of the tables below.
enum Tensor { kInput, kMlp };
enum Projection { kQ, kK, kV, kO, kGate, kUp, kDown };

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
  return {.tensors = {{kNormIn, {kHidden}, kNorm}, {kNormMlp, {kHidden}, kNorm}},
          .linears = {
              {"self_attn.q_proj", kQuery, kHidden, kAttentionIn, kReader, kNormIn, attention},
              {"self_attn.k_proj", kKeyValue, kHidden, kAttentionIn, kReader, kNormIn, attention},
              {"self_attn.v_proj", kKeyValue, kHidden, kAttentionIn, kValue, kNormIn, attention},
              {"self_attn.o_proj", kHidden, kQuery, kAttentionOut, kHeadMixer, "", attention},
              {"mlp.gate_proj", kIntermediate, kHidden, kMlpIn, kReader, kNormMlp, mlp},
              {"mlp.up_proj", kIntermediate, kHidden, kMlpIn, kReader, kNormMlp, mlp},
              {"mlp.down_proj", kHidden, kIntermediate, kMlpOut, kProductWriter, "", mlp}}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return {.attention = {.heads = config.heads,
                        .kv_heads = config.kv_heads,
                        .head_dim = config.head_dim,
                        .window = config.window_of(index)},
          .norm_epsilon = config.norm_epsilon};
}

Positions positions(const ModelConfig& config, int64_t length, at::Device device,
                    at::ScalarType dtype) {
  return {make_rope_table({config.head_dim, config.rope_theta, config.rope_scaling}, length, device,
                          dtype)};
}

at::Tensor embed(const RowLookup& rows, const at::Tensor& ids) {
  return rows("model.embed_tokens.weight", ids);
}

std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state) {
  const auto normalized = [&](Tensor norm) {
    return rms_norm(state.hidden, block.tensors[norm], block.layer.norm_epsilon);
  };
  switch (stage) {
    case kAttentionIn:
      return {{normalized(kInput)}};
    case kMlpIn:
      return {{normalized(kMlp)}};
    default:
      return {{state.parts.front()}};
  }
}

void advance(const Block& block, int stage, std::span<const at::Tensor> outputs,
             BlockState& state) {
  switch (stage) {
    case kAttentionIn:
      state.parts = {causal_attention(outputs[0], outputs[1], outputs[2], block.positions->rope,
                                      block.layer.attention)};
      break;
    case kMlpIn:
      state.parts = {block.linears[kDown].prepared(gated_silu(outputs[0], outputs[1]))};
      break;
    default:
      state.hidden = state.hidden + outputs[0];
      state.parts.clear();
  }
}

at::Tensor logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  return head.linear.apply(rms_norm(hidden, head.tensors.front(), config.norm_epsilon));
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
      .stages = kStages,
      .parts = {{"input of the next stage", {kQuery, kIntermediate}}},
      .positions = positions,
      .embed = embed,
      .inputs = inputs,
      .advance = advance,
      .logits = logits,
  };
}

}  // namespace halftone
