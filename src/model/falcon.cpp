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

constexpr const char *kEmbeddings = "transformer.word_embeddings.weight", *kHead = "lm_head.weight";

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
  share_heads(kv_heads_of(config, model.heads), "num_kv_heads", model);
  model.separate_mlp_norm =
      is_new(config) && positive_or(config, "num_ln_in_parallel_attn", 2) == 2;
  model.residual = Residual::kParallel;
  model.attention_bias = model.mlp_bias = flag_or(config, "bias", false);
  parse_rope(config, {}, model);
  return model;
}

BlockTable block_table(const ModelConfig& config, int64_t) {
  using enum Dim;
  using namespace two_stages;
  // one key says it of all of them, so none may be there unasked
  const Presence bias = config.mlp_bias ? Presence::kAlways : Presence::kNever;
  const auto linear = [&](const char* name, Dim out, Dim in, Stage stage, int input = 0) {
    return linear_spec(name, out, in, stage, bias, input);
  };
  const int of_mlp = config.separate_mlp_norm ? 1 : 0;
  return {.tensors = config.separate_mlp_norm ? layer_norm_specs({"ln_attn", "ln_mlp"})
                                              : layer_norm_specs({"input_layernorm"}),
          .linears = {linear("self_attention.query_key_value", kQueryKeyValue, kHidden, kIn),
                      linear("mlp.dense_h_to_4h", kIntermediate, kHidden, kIn, of_mlp),
                      linear("self_attention.dense", kHidden, kQuery, kOut),
                      linear("mlp.dense_4h_to_h", kHidden, kIntermediate, kOut, 1)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kGroups);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids,
                 const at::Tensor&) {
  return rows(kEmbeddings, ids);
}

}  // namespace

Family falcon_family() {
  Family family = two_stage_family();
  family.name = "falcon";
  family.architectures = {"FalconForCausalLM"};
  family.parse_config = parse_config;
  family.layer = layer;
  family.block_prefix = "transformer.h.";
  family.embedding = kEmbeddings;
  family.head = kHead;
  family.outer = outer_specs(kEmbeddings, "transformer.ln_f", kHead);
  family.block = block_table;
  family.embed = embed;
  return family;
}

}  // namespace halftone
