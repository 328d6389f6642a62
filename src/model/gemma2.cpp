// Gemma 2 (Gemma Team 2024, arXiv 2408.00118): norms before and behind attention and MLP whose
// weights are stored less 1, the embedding times sqrt(hidden), tanh GELU, capped scores and logits,
// a window in every other layer. Absent keys mean what transformers' Gemma2Config (5.24) fills in.
#include <cmath>

#include "base/error.h"
#include "model/config_values.h"
#include "model/gated_block.h"

namespace halftone {
namespace {

using nlohmann::json;

// In the order of the table below.
enum Tensor { kInput, kAfterAttention, kBeforeMlp, kAfterMlp };

LayerConfig layer(const ModelConfig& config, int64_t index) {
  LayerConfig layer = gated_layer(config, index);
  layer.norms = {.attention_in = kInput,
                 .attention_out = kAfterAttention,
                 .mlp_in = kBeforeMlp,
                 .mlp_out = kAfterMlp};
  return layer;
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = without_mlp_biases(llama_family().block(config, index));
  table.tensors.clear();
  for (const char* name : {"input_layernorm.weight", "post_attention_layernorm.weight",
                           "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"})
    table.tensors.push_back({name, {Dim::kHidden}});
  return without_rotation(std::move(table));
}

ModelConfig parse_gemma2_config(const json& config) {
  ModelConfig model =
      parse_gemma_config(with_defaults(config, {{"max_position_embeddings", 8192}}));
  model.windowed =
      windowed_layers(config, model.layers, [](int64_t layer) { return layer % 2 == 0; });
  model.attention_cap = number_or_none(config, "attn_logit_softcapping", 50);
  model.logit_cap = number_or_none(config, "final_logit_softcapping", 30);
  return model;
}

}  // namespace

ModelConfig parse_gemma_config(const json& config) {
  json full = with_defaults(config, {{"num_key_value_heads", 4},
                                     {"head_dim", 256},
                                     {"sliding_window", 4096},
                                     {"tie_word_embeddings", true}});
  for (const char* key : {"hidden_act", "mlp_bias"}) full.erase(key);  // the class reads neither
  require(!flag_or(full, "use_bidirectional_attention", false),
          "config.json: use_bidirectional_attention true is not supported");
  ModelConfig model = parse_llama_config(full);
  model.activation = activation_or(full, "hidden_activation", "gelu_pytorch_tanh");
  model.sliding_window = positive(full, "sliding_window");
  model.norm_offset = 1;
  model.embedding_scale = std::sqrt(static_cast<double>(model.hidden));
  model.attention_scale = 1 / std::sqrt(number_or(full, "query_pre_attn_scalar", 256));
  return model;
}

Family gemma2_family() {
  Family family = llama_family();
  family.name = "gemma2";
  family.architectures = {"Gemma2ForCausalLM"};
  family.parse_config = parse_gemma2_config;
  family.layer = layer;
  family.block = block_table;
  family.unrotatable = "a norm behind attention and MLP scales what is added to the stream";
  return family;
}

}  // namespace halftone
