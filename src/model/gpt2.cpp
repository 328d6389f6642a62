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
                     *kPositionTable = "transformer.wpe.weight";

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
    return LinearSpec{
        .name = name, .out = out, .in = in, .stage = stage, .bias = Presence::kAlways};
  };
  return {.tensors = {{"ln_1.weight", {kHidden}},
                      {"ln_1.bias", {kHidden}},
                      {"ln_2.weight", {kHidden}},
                      {"ln_2.bias", {kHidden}}},
          .linears = {linear("attn.c_attn", kQueryKeyValue, kHidden, kAttentionIn),
                      linear("attn.c_proj", kHidden, kQuery, kAttentionOut),
                      linear("mlp.c_fc", kIntermediate, kHidden, kMlpIn),
                      linear("mlp.c_proj", kHidden, kIntermediate, kMlpOut)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kWhole);
}

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids) {
  return rows(kEmbeddings, ids) + learned_positions(rows, kPositionTable, ids, 0);
}

}  // namespace

Family gpt2_family() {
  using enum Dim;
  return {
      .name = "gpt2",
      .architectures = {"GPT2LMHeadModel"},
      .parse_config = parse_config,
      .layer = layer,
      .block_prefix = "transformer.h.",
      .embedding = kEmbeddings,
      .head = "lm_head.weight",
      .outer = {{kEmbeddings, {kVocab, kHidden}},
                {kPositionTable, {kPositions, kHidden}},
                {"transformer.ln_f.weight", {kHidden}},
                {"transformer.ln_f.bias", {kHidden}},
                {.name = "lm_head.weight",
                 .shape = {kVocab, kHidden},
                 .presence = Presence::kUntied}},
      .embeds = {kPositionTable},
      .block = block_table,
      .ignored = {".attn.bias", ".attn.masked_bias"},
      .stages = four_stages::kStages,
      .parts = four_stages::parts(),
      .positions = no_positions,
      .embed = embed,
      .inputs = four_stages::inputs,
      .advance = four_stages::advance,
      .logits = layer_norm_logits,
      .unrotatable = kLayerNormTurns,
  };
}

}  // namespace halftone
