// Phi-1, Phi-1.5 and Phi-2 (Gunasekar et al. 2023, arXiv 2306.11644; Li et al. 2023, arXiv
// 2309.05463): attention and MLP side by side behind one LayerNorm, half of each head rotating,
// biases everywhere, the head included. Absent keys mean what transformers' PhiConfig (5.24) fills
// in.
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr DecoderKeys kKeys = {.layers = {"num_hidden_layers", 24},
                               .hidden = {"hidden_size", 2048},
                               .heads = {"num_attention_heads", 32},
                               .vocab = {"vocab_size", 51200},
                               .context = {"max_position_embeddings", 2048},
                               .intermediate = {"intermediate_size", 8192},
                               .epsilon = "layer_norm_eps",
                               .activation = "hidden_act",
                               .activation_otherwise = "gelu_new",
                               .tied = false};
constexpr RopeKeys kRope = {
    .theta = "rope_theta", .share_key = "partial_rotary_factor", .share = 0.5};

ModelConfig parse_config(const json& config) {
  require_flags(config, {{"qk_layernorm", false}});
  ModelConfig model = parse_decoder(config, kKeys);
  model.kv_heads = positive_or(config, "num_key_value_heads", model.heads);
  require(model.heads % model.kv_heads == 0,
          "config.json: num_attention_heads {} is not a multiple of num_key_value_heads {}",
          model.heads, model.kv_heads);
  model.head_dim = positive_or(config, "head_dim", model.head_dim);
  model.residual = Residual::kParallel;
  model.separate_mlp_norm = false;
  model.attention_bias = model.mlp_bias = true;
  parse_rope(config, kRope, model);
  return model;
}

BlockTable block_table(const ModelConfig&, int64_t) {
  using enum Dim;
  using namespace two_stages;
  const auto linear = [](const char* name, Dim out, Dim in, Stage stage, int input = 0) {
    return LinearSpec{.name = name,
                      .out = out,
                      .in = in,
                      .stage = stage,
                      .bias = Presence::kAlways,
                      .input = input};
  };
  return {.tensors = {{"input_layernorm.weight", {kHidden}}, {"input_layernorm.bias", {kHidden}}},
          .linears = {linear("self_attn.q_proj", kQuery, kHidden, kIn),
                      linear("self_attn.k_proj", kKeyValue, kHidden, kIn),
                      linear("self_attn.v_proj", kKeyValue, kHidden, kIn),
                      linear("mlp.fc1", kIntermediate, kHidden, kIn),
                      linear("self_attn.dense", kHidden, kQuery, kOut),
                      linear("mlp.fc2", kHidden, kIntermediate, kOut, 1)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kSeparate);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids) {
  return rows("model.embed_tokens.weight", ids);
}

// head: weight and bias of the norm, bias of the head
at::Tensor logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  return layer_norm_logits(config, head, hidden) + head.tensors[2];
}

}  // namespace

Family phi_family() {
  using enum Dim;
  return {
      .name = "phi",
      .architectures = {"PhiForCausalLM"},
      .parse_config = parse_config,
      .layer = layer,
      .block_prefix = "model.layers.",
      .embedding = "model.embed_tokens.weight",
      .head = "lm_head.weight",
      .outer = {{"model.embed_tokens.weight", {kVocab, kHidden}},
                {"model.final_layernorm.weight", {kHidden}},
                {"model.final_layernorm.bias", {kHidden}},
                {.name = "lm_head.weight",
                 .shape = {kVocab, kHidden},
                 .presence = Presence::kUntied},
                {"lm_head.bias", {kVocab}}},
      .block = block_table,
      .ignored = {".rotary_emb.inv_freq"},
      .stages = two_stages::kStages,
      .parts = two_stages::parts(),
      .positions = rotary_positions,
      .embed = embed,
      .inputs = two_stages::inputs,
      .advance = two_stages::advance,
      .logits = logits,
      .unrotatable = kLayerNormTurns,
  };
}

}  // namespace halftone
