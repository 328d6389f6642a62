// OPT (Zhang et al. 2022, arXiv 2205.01068): LayerNorms before or, in the 350M model, after
// attention and MLP; learned positions, the first two rows of which are no position; ReLU; in the
// 350M model embeddings of half the width. Absent keys mean what transformers' OPTConfig (5.24)
// fills in.
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr DecoderKeys kKeys = {.layers = {"num_hidden_layers", 12},
                               .hidden = {"hidden_size", 768},
                               .heads = {"num_attention_heads", 12},
                               .vocab = {"vocab_size", 50272},
                               .context = {"max_position_embeddings", 2048},
                               .intermediate = {"ffn_dim", 3072},
                               .epsilon = nullptr,
                               .activation = "activation_function",
                               .activation_otherwise = "relu",
                               .tied = true};
constexpr int64_t kPositionOffset = 2;
constexpr const char *kEmbeddings = "model.decoder.embed_tokens.weight",
                     *kPositionTable = "model.decoder.embed_positions.weight",
                     *kProjectIn = "model.decoder.project_in.weight", *kHead = "lm_head.weight";

ModelConfig parse_config(const json& config) {
  require_flags(config, {{"layer_norm_elementwise_affine", true}});
  ModelConfig model = parse_decoder(config, kKeys);
  model.learned_positions = model.context + kPositionOffset;
  model.embedding_width = positive_or(config, "word_embed_proj_dim", model.hidden);
  model.attention_bias = model.mlp_bias = flag_or(config, "enable_bias", true);
  const bool before = flag_or(config, "do_layer_norm_before", true);
  if (!before) model.residual = Residual::kPostNorm;
  model.final_norm = before && !flag_or(config, "_remove_final_layer_norm", false);
  return model;
}

BlockTable block_table(const ModelConfig& config, int64_t) {
  using enum Dim;
  using namespace four_stages;
  // one key says it of all of them, so none may be there unasked
  const Presence bias = config.mlp_bias ? Presence::kAlways : Presence::kNever;
  const auto linear = [&](const char* name, Dim out, Dim in, Stage stage) {
    return linear_spec(name, out, in, stage, bias);
  };
  return {.tensors = layer_norm_specs({"self_attn_layer_norm", "final_layer_norm"}),
          .linears = {linear("self_attn.q_proj", kQuery, kHidden, kAttentionIn),
                      linear("self_attn.k_proj", kKeyValue, kHidden, kAttentionIn),
                      linear("self_attn.v_proj", kKeyValue, kHidden, kAttentionIn),
                      linear("self_attn.out_proj", kHidden, kQuery, kAttentionOut),
                      linear("fc1", kIntermediate, kHidden, kMlpIn),
                      linear("fc2", kHidden, kIntermediate, kMlpOut)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kSeparate);
}

at::Tensor embed(const ModelConfig& config, const RowLookup& rows, const at::Tensor& ids,
                 const at::Tensor& positions) {
  at::Tensor tokens = rows(kEmbeddings, ids);
  if (is_present(Presence::kProjected, config))
    tokens = at::linear(tokens, rows(kProjectIn, at::arange(config.hidden)));
  return tokens + learned_positions(rows, kPositionTable, ids, positions, kPositionOffset);
}

// head: project_out, weight and bias of the norm, each where the model has it
at::Tensor head_input(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  const at::Tensor &projection = head.tensors[0], &weight = head.tensors[1],
                   &bias = head.tensors[2];
  const at::Tensor x =
      weight.defined() ? layer_norm(hidden, weight, bias, config.norm_epsilon) : hidden;
  return projection.defined() ? at::linear(x, projection) : x;
}

at::Tensor logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  return head.linear.apply(head_input(config, head, hidden));
}

}  // namespace

Family opt_family() {
  using enum Dim;
  const auto tensor = [](const char* name, std::vector<Dim> shape, Presence presence) {
    return TensorSpec{.name = name, .shape = std::move(shape), .presence = presence};
  };
  Family family = four_stage_family();
  family.name = "opt";
  family.architectures = {"OPTForCausalLM"};
  family.parse_config = parse_config;
  family.layer = layer;
  family.block_prefix = "model.decoder.layers.";
  family.embedding = kEmbeddings;
  family.head = kHead;
  family.outer = {
      {kEmbeddings, {kVocab, kEmbeddingWidth}},
      {kPositionTable, {kPositions, kHidden}},
      tensor(kProjectIn, {kHidden, kEmbeddingWidth}, Presence::kProjected),
      tensor("model.decoder.project_out.weight", {kEmbeddingWidth, kHidden}, Presence::kProjected),
      tensor("model.decoder.final_layer_norm.weight", {kHidden}, Presence::kFinalNorm),
      tensor("model.decoder.final_layer_norm.bias", {kHidden}, Presence::kFinalNorm),
      tensor(kHead, {kVocab, kEmbeddingWidth}, Presence::kUntied)};
  family.embeds = {kPositionTable, kProjectIn};
  family.block = block_table;
  family.ignored = {};
  family.positions = no_positions;
  family.embed = embed;
  family.head_input = head_input;
  family.logits = logits;
  return family;
}

}  // namespace halftone
