// GPT-NeoX and Pythia (Black et al. 2022, arXiv 2204.06745; Biderman et al. 2023, arXiv
// 2304.01373): LayerNorms, attention and MLP side by side or one after the other, a quarter of each
// head rotating, queries, keys and values in one linear, head by head. Absent keys mean what
// transformers' GPTNeoXConfig (5.24) fills in.
#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr DecoderKeys kKeys = {.layers = {"num_hidden_layers", 44},
                               .hidden = {"hidden_size", 6144},
                               .heads = {"num_attention_heads", 64},
                               .vocab = {"vocab_size", 50432},
                               .context = {"max_position_embeddings", 2048},
                               .intermediate = {"intermediate_size", 24576},
                               .epsilon = "layer_norm_eps",
                               .activation = "hidden_act",
                               .activation_otherwise = "gelu",
                               .tied = false};
constexpr RopeKeys kRope = {.theta = "rotary_emb_base", .share_key = "rotary_pct", .share = 0.25};

ModelConfig parse_config(const json& config) {
  ModelConfig model = parse_decoder(config, kKeys);
  model.attention_bias = flag_or(config, "attention_bias", true);
  model.mlp_bias = true;
  if (flag_or(config, "use_parallel_residual", true)) model.residual = Residual::kParallel;
  parse_rope(config, kRope, model);
  return model;
}

BlockTable block_table(const ModelConfig&, int64_t) {
  using enum Dim;
  using namespace four_stages;
  const auto linear = [](const char* name, Dim out, Dim in, Stage stage, Presence bias) {
    return LinearSpec{.name = name, .out = out, .in = in, .stage = stage, .bias = bias};
  };
  const Presence bias = Presence::kAttentionBias;
  return {
      .tensors = {{"input_layernorm.weight", {kHidden}},
                  {"input_layernorm.bias", {kHidden}},
                  {"post_attention_layernorm.weight", {kHidden}},
                  {"post_attention_layernorm.bias", {kHidden}}},
      .linears = {linear("attention.query_key_value", kQueryKeyValue, kHidden, kAttentionIn, bias),
                  linear("attention.dense", kHidden, kQuery, kAttentionOut, bias),
                  linear("mlp.dense_h_to_4h", kIntermediate, kHidden, kMlpIn, Presence::kAlways),
                  linear("mlp.dense_4h_to_h", kHidden, kIntermediate, kMlpOut, Presence::kAlways)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kGroups);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids) {
  return rows("gpt_neox.embed_in.weight", ids);
}

}  // namespace

Family gpt_neox_family() {
  using enum Dim;
  return {
      .name = "gpt_neox",
      .architectures = {"GPTNeoXForCausalLM"},
      .parse_config = parse_config,
      .layer = layer,
      .block_prefix = "gpt_neox.layers.",
      .embedding = "gpt_neox.embed_in.weight",
      .head = "embed_out.weight",
      .outer = {{"gpt_neox.embed_in.weight", {kVocab, kHidden}},
                {"gpt_neox.final_layer_norm.weight", {kHidden}},
                {"gpt_neox.final_layer_norm.bias", {kHidden}},
                {.name = "embed_out.weight",
                 .shape = {kVocab, kHidden},
                 .presence = Presence::kUntied}},
      .block = block_table,
      .ignored = {".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias"},
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
