// GPT-2 (Radford et al. 2019): LayerNorms, learned positions, queries, keys and values in one
// linear, GELU. Its folders hold matrices as (in, out), which checkpoint/stored_layout.h turns.
// Absent keys mean what transformers' GPT2Config (5.24) fills in.
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr DecoderKeys kKeys = {.layers = {"n_layer", 12},
                               .hidden = {"n_embd", 768},
                               .heads = {"n_head", 12},
                               .vocab = {"vocab_size", 50257},
                               .context = {"n_positions", 1024},
                               .intermediate = {"n_inner", 0},
                               .epsilon = "layer_norm_epsilon",
                               .activation = "activation_function",
                               .activation_otherwise = "gelu_new",
                               .tied = true};
constexpr const char *kEmbeddings = "transformer.wte.weight",
                     *kPositionTable = "transformer.wpe.weight", *kHead = "lm_head.weight";

ModelConfig parse_config(const json& config) {
  require_flags(config, {{"scale_attn_weights", true},
                         {"scale_attn_by_inverse_layer_idx", false},
                         {"add_cross_attention", false}});
  ModelConfig model = parse_decoder(config, kKeys);
  model.learned_positions = model.context;
  model.attention_bias = model.mlp_bias = true;
  return model;
}

BlockTable block_table(const ModelConfig&, int64_t) {
  using enum Dim;
  using namespace four_stages;
  const auto linear = [](const char* name, Dim out, Dim in, Stage stage) {
    return linear_spec(name, out, in, stage, Presence::kAlways);
  };
  return {.tensors = layer_norm_specs({"ln_1", "ln_2"}),
          .linears = {linear("attn.c_attn", kQueryKeyValue, kHidden, kAttentionIn),
                      linear("attn.c_proj", kHidden, kQuery, kAttentionOut),
                      linear("mlp.c_fc", kIntermediate, kHidden, kMlpIn),
                      linear("mlp.c_proj", kHidden, kIntermediate, kMlpOut)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kWhole);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids,
                 const at::Tensor& positions) {
  return rows(kEmbeddings, ids) + learned_positions(rows, kPositionTable, ids, positions);
}

}  // namespace

Family gpt2_family() {
  using enum Dim;
  Family family = four_stage_family();
  family.name = "gpt2";
  family.architectures = {"GPT2LMHeadModel"};
  family.parse_config = parse_config;
  family.layer = layer;
  family.block_prefix = "transformer.h.";
  family.embedding = kEmbeddings;
  family.head = kHead;
  family.outer = outer_specs(kEmbeddings, "transformer.ln_f", kHead);
  family.outer.push_back({kPositionTable, {kPositions, kHidden}});
  family.embeds = {kPositionTable};
  family.block = block_table;
  family.ignored = {".attn.bias", ".attn.masked_bias"};
  family.positions = no_positions;
  family.embed = embed;
  return family;
}

}  // namespace halftone
