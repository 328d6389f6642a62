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
constexpr const char *kEmbeddings = "gpt_neox.embed_in.weight", *kHead = "embed_out.weight";
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
  const Presence bias = Presence::kAttentionBias, always = Presence::kAlways;
  return {.tensors = layer_norm_specs({"input_layernorm", "post_attention_layernorm"}),
          .linears = {
              linear_spec("attention.query_key_value", kQueryKeyValue, kHidden, kAttentionIn, bias),
              linear_spec("attention.dense", kHidden, kQuery, kAttentionOut, bias),
              linear_spec("mlp.dense_h_to_4h", kIntermediate, kHidden, kMlpIn, always),
              linear_spec("mlp.dense_4h_to_h", kHidden, kIntermediate, kMlpOut, always)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kGroups);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids,
                 const at::Tensor&) {
  return rows(kEmbeddings, ids);
}

}  // namespace

Family gpt_neox_family() {
  Family family = four_stage_family();
  family.name = "gpt_neox";
  family.architectures = {"GPTNeoXForCausalLM"};
  family.parse_config = parse_config;
  family.layer = layer;
  family.block_prefix = "gpt_neox.layers.";
  family.embedding = kEmbeddings;
  family.head = kHead;
  family.outer = outer_specs(kEmbeddings, "gpt_neox.final_layer_norm", kHead);
  family.block = block_table;
  family.ignored.insert(family.ignored.end(), {".attention.bias", ".attention.masked_bias"});
  family.embed = embed;
  return family;
}

}  // namespace halftone
