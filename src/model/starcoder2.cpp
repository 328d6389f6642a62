// StarCoder2 (Lozhkov et al. 2024, arXiv 2402.19173): LayerNorms, rotary attention with grouped
// key/value heads and a window, GELU. Absent keys mean what transformers' Starcoder2Config (5.24)
// fills in.
#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kKeyValueHeads = 2;

constexpr DecoderKeys kKeys = {.layers = {"num_hidden_layers", 30},
                               .hidden = {"hidden_size", 3072},
                               .heads = {"num_attention_heads", 24},
                               .vocab = {"vocab_size", 49152},
                               .context = {"max_position_embeddings", 4096},
                               .intermediate = {"intermediate_size", 12288},
                               .epsilon = "norm_epsilon",
                               .activation = "hidden_act",
                               .activation_otherwise = "gelu_pytorch_tanh",
                               .tied = true};

ModelConfig parse_config(const json& config) {
  ModelConfig model = parse_decoder(config, kKeys);
  model.kv_heads = positive_or(config, "num_key_value_heads", kKeyValueHeads);
  require(model.heads % model.kv_heads == 0,
          "config.json: num_attention_heads {} is not a multiple of num_key_value_heads {}",
          model.heads, model.kv_heads);
  model.head_dim = positive_or(config, "head_dim", model.head_dim);
  model.sliding_window = positive_or(config, "sliding_window", 0);
  model.attention_bias = model.mlp_bias = flag_or(config, "use_bias", true);
  parse_rope(config, {}, model);
  return model;
}

BlockTable block_table(const ModelConfig& config, int64_t) {
  using enum Dim;
  using namespace four_stages;
  // one key says it of all of them, so none may be there unasked
  const Presence bias = config.mlp_bias ? Presence::kAlways : Presence::kNever;
  const auto linear = [&](const char* name, Dim out, Dim in, Stage stage) {
    return LinearSpec{.name = name, .out = out, .in = in, .stage = stage, .bias = bias};
  };
  return {.tensors = {{"input_layernorm.weight", {kHidden}},
                      {"input_layernorm.bias", {kHidden}},
                      {"post_attention_layernorm.weight", {kHidden}},
                      {"post_attention_layernorm.bias", {kHidden}}},
          .linears = {linear("self_attn.q_proj", kQuery, kHidden, kAttentionIn),
                      linear("self_attn.k_proj", kKeyValue, kHidden, kAttentionIn),
                      linear("self_attn.v_proj", kKeyValue, kHidden, kAttentionIn),
                      linear("self_attn.o_proj", kHidden, kQuery, kAttentionOut),
                      linear("mlp.c_fc", kIntermediate, kHidden, kMlpIn),
                      linear("mlp.c_proj", kHidden, kIntermediate, kMlpOut)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kSeparate);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids) {
  return rows("model.embed_tokens.weight", ids);
}

}  // namespace

Family starcoder2_family() {
  using enum Dim;
  return {
      .name = "starcoder2",
      .architectures = {"Starcoder2ForCausalLM"},
      .parse_config = parse_config,
      .layer = layer,
      .block_prefix = "model.layers.",
      .embedding = "model.embed_tokens.weight",
      .head = "lm_head.weight",
      .outer = {{"model.embed_tokens.weight", {kVocab, kHidden}},
                {"model.norm.weight", {kHidden}},
                {"model.norm.bias", {kHidden}},
                {.name = "lm_head.weight",
                 .shape = {kVocab, kHidden},
                 .presence = Presence::kUntied}},
      .block = block_table,
      .ignored = {".rotary_emb.inv_freq"},
      .stages = four_stages::kStages,
      .parts = four_stages::parts(),
      .positions = rotary_positions,
      .embed = embed,
      .inputs = four_stages::inputs,
      .advance = four_stages::advance,
      .logits = layer_norm_logits,
      .unrotatable = kLayerNormTurns,
  };
}

}  // namespace halftone
