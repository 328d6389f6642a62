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
constexpr const char *kEmbeddings = "model.embed_tokens.weight", *kHead = "lm_head.weight";

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
  share_heads(positive_or(config, "num_key_value_heads", kKeyValueHeads), "num_key_value_heads",
              model);
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
    return linear_spec(name, out, in, stage, bias);
  };
  return {.tensors = layer_norm_specs({"input_layernorm", "post_attention_layernorm"}),
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

at::Tensor embed(const ModelConfig&, const RowLookup& rows, const at::Tensor& ids,
                 const at::Tensor&) {
  return rows(kEmbeddings, ids);
}

}  // namespace

Family starcoder2_family() {
  Family family = four_stage_family();
  family.name = "starcoder2";
  family.architectures = {"Starcoder2ForCausalLM"};
  family.parse_config = parse_config;
  family.layer = layer;
  family.block_prefix = "model.layers.";
  family.embedding = kEmbeddings;
  family.head = kHead;
  family.outer = outer_specs(kEmbeddings, "model.norm", kHead);
  family.block = block_table;
  family.embed = embed;
  return family;
}

}  // namespace halftone
