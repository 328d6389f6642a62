// Qwen3 (Yang et al. 2025, arXiv 2505.09388): Qwen2's block without its biases, queries and keys
// normalized head by head. Absent keys mean what transformers' Qwen3Config (5.24) fills in.
#include "model/config_values.h"
#include "model/gated_block.h"

namespace halftone {
namespace {

using nlohmann::json;

enum Tensor { kInput, kMlp, kQueryNorm, kKeyNorm };  // in the order of the table below

ModelConfig parse_qwen3_config(const json& config) {
  json full = with_defaults(
      config, {{"max_position_embeddings", 32768}, {"num_key_value_heads", 32}, {"head_dim", 128}});
  full.erase("mlp_bias");  // the class does not read it
  ModelConfig model = parse_llama_config(full);
  parse_upper_window(config, model);
  return model;
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  LayerConfig layer = gated_layer(config, index);
  layer.norms = {.attention_in = kInput, .mlp_in = kMlp, .query = kQueryNorm, .key = kKeyNorm};
  return layer;
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = without_mlp_biases(llama_family().block(config, index));
  for (const char* name : {"self_attn.q_norm.weight", "self_attn.k_norm.weight"})
    table.tensors.push_back({name, {Dim::kHeadDim}});
  return table;
}

}  // namespace

Family qwen3_family() {
  Family family = llama_family();
  family.name = "qwen3";
  family.architectures = {"Qwen3ForCausalLM"};
  family.parse_config = parse_qwen3_config;
  family.layer = layer;
  family.block = block_table;
  return family;
}

}  // namespace halftone
