// Falcon (Almazrouei et al. 2023, arXiv 2311.16867): attention and MLP side by side behind one
// LayerNorm, or one each in the larger models; rotary attention with one key/value head or a few,
// which lie behind their queries in one linear; GELU. Absent keys mean what transformers'
// FalconConfig (5.24) fills in; ALiBi and sequential blocks (Falcon-RW) are refused.
#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr DecoderKeys kKeys = {.layers = {"num_hidden_layers", 32},
                               .hidden = {"hidden_size", 4544},
                               .heads = {"num_attention_heads", 71},
                               .vocab = {"vocab_size", 65024},
                               .context = {"max_position_embeddings", 2048},
                               .intermediate = {"ffn_hidden_size", 0},
                               .epsilon = "layer_norm_epsilon",
                               .activation = "activation",
                               .activation_otherwise = "gelu",
                               .tied = true};

bool is_new(const json& config) {
  return flag_or(config, "new_decoder_architecture", false);
}

// The old architecture has one key/value head or as many as heads, whatever num_kv_heads says.
int64_t kv_heads_of(const json& config, int64_t heads) {
  if (is_new(config)) return positive_or(config, "num_kv_heads", heads);
  return flag_or(config, "multi_query", true) ? 1 : heads;
}

ModelConfig parse_config(const json& config) {
  require_flags(config, {{"alibi", false}});
  if (!is_new(config)) require_flags(config, {{"parallel_attn", true}});
  DecoderKeys keys = kKeys;
  if (given(config, "n_embed")) keys.hidden.name = "n_embed";  // goes first, as in the library
  ModelConfig model = parse_decoder(config, keys);
  model.kv_heads = kv_heads_of(config, model.heads);
  require(model.heads % model.kv_heads == 0,
          "config.json: num_attention_heads {} is not a multiple of num_kv_heads {}", model.heads,
          model.kv_heads);
  model.separate_mlp_norm =
      is_new(config) && positive_or(config, "num_ln_in_parallel_attn", 2) == 2;
  model.residual = Residual::kParallel;
  model.attention_bias = model.mlp_bias = flag_or(config, "bias", false);
  parse_rope(config, {}, model);
  return model;
}

std::vector<TensorSpec> norms(const ModelConfig& config) {
  using enum Dim;
  if (config.separate_mlp_norm)
    return {{"ln_attn.weight", {kHidden}},
            {"ln_attn.bias", {kHidden}},
            {"ln_mlp.weight", {kHidden}},
            {"ln_mlp.bias", {kHidden}}};
  return {{"input_layernorm.weight", {kHidden}}, {"input_layernorm.bias", {kHidden}}};
}

BlockTable block_table(const ModelConfig& config, int64_t) {
  using enum Dim;
  using namespace two_stages;
  // one key says it of all of them, so none may be there unasked
  const Presence bias = config.mlp_bias ? Presence::kAlways : Presence::kNever;
  const auto linear = [&](const char* name, Dim out, Dim in, Stage stage, int input = 0) {
    return LinearSpec{
        .name = name, .out = out, .in = in, .stage = stage, .bias = bias, .input = input};
  };
  const int of_mlp = config.separate_mlp_norm ? 1 : 0;
  return {.tensors = norms(config),
          .linears = {linear("self_attention.query_key_value", kQueryKeyValue, kHidden, kIn),
                      linear("mlp.dense_h_to_4h", kIntermediate, kHidden, kIn, of_mlp),
                      linear("self_attention.dense", kHidden, kQuery, kOut),
                      linear("mlp.dense_4h_to_h", kHidden, kIntermediate, kOut, 1)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kGroups);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids) {
  return rows("transformer.word_embeddings.weight", ids);
}

}  // namespace

Family falcon_family() {
  using enum Dim;
  return {
      .name = "falcon",
      .architectures = {"FalconForCausalLM"},
      .parse_config = parse_config,
      .layer = layer,
      .block_prefix = "transformer.h.",
      .embedding = "transformer.word_embeddings.weight",
      .head = "lm_head.weight",
      .outer = {{"transformer.word_embeddings.weight", {kVocab, kHidden}},
                {"transformer.ln_f.weight", {kHidden}},
                {"transformer.ln_f.bias", {kHidden}},
                {.name = "lm_head.weight",
                 .shape = {kVocab, kHidden},
                 .presence = Presence::kUntied}},
      .block = block_table,
      .ignored = {".rotary_emb.inv_freq"},
      .stages = two_stages::kStages,
      .parts = two_stages::parts(),
      .positions = rotary_positions,
      .embed = embed,
      .inputs = two_stages::inputs,
      .advance = two_stages::advance,
      .logits = layer_norm_logits,
      .unrotatable = kLayerNormTurns,
  };
}

}  // namespace halftone
