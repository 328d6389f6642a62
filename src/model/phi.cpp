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
constexpr const char *kEmbeddings = "model.embed_tokens.weight", *kHead = "lm_head.weight";
constexpr RopeKeys kRope = {
    .theta = "rope_theta", .share_key = "partial_rotary_factor", .share = 0.5};

ModelConfig parse_config(const json& config) {
  require_flags(config, {{"qk_layernorm", false}});
  ModelConfig model = parse_decoder(config, kKeys);
  share_heads(positive_or(config, "num_key_value_heads", model.heads), "num_key_value_heads",
              model);
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
    return linear_spec(name, out, in, stage, Presence::kAlways, input);
  };
  return {.tensors = layer_norm_specs({"input_layernorm"}),
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

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids,
                 const at::Tensor&) {
  return rows(kEmbeddings, ids);
}

// head: weight and bias of the norm, bias of the head
at::Tensor logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  return layer_norm_logits(config, head, hidden) + head.tensors[2];
}

}  // namespace

Family phi_family() {
  Family family = two_stage_family();
  family.name = "phi";
  family.architectures = {"PhiForCausalLM"};
  family.parse_config = parse_config;
  family.layer = layer;
  family.block_prefix = "model.layers.";
  family.embedding = kEmbeddings;
  family.head = kHead;
  family.outer = outer_specs(kEmbeddings, "model.final_layernorm", kHead);
  family.outer.push_back({"lm_head.bias", {Dim::kVocab}});
  family.block = block_table;
  family.embed = embed;
  family.logits = logits;
  return family;
}

}  // namespace halftone
