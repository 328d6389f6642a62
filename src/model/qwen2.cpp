// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671, 2412.15115): Llama's block with biases on
// queries, keys and values, and a window in the upper layers where use_sliding_window asks for it.
// Absent keys mean what transformers' Qwen2Config (5.24) fills in.
#include "model/config_values.h"
#include "model/family.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kContext = 32768, kKeyValueHeads = 32;

ModelConfig parse_qwen2_config(const json& config) {
  json full = with_defaults(
      config, {{"max_position_embeddings", kContext}, {"num_key_value_heads", kKeyValueHeads}});
  for (const char* key : {"attention_bias", "mlp_bias"})
    full.erase(key);  // the class reads neither
  ModelConfig model = parse_llama_config(full);
  parse_upper_window(config, model);
  return model;
}

BlockTable block_table(const ModelConfig& config, int64_t index) {
  BlockTable table = llama_family().block(config, index);
  for (LinearSpec& linear : table.linears) {
    const bool reads_stream =
        linear.name.starts_with("self_attn.") && linear.name != "self_attn.o_proj";
    linear.bias = reads_stream ? Presence::kAlways : Presence::kNever;
  }
  return table;
}

}  // namespace

Family qwen2_family() {
  Family family = llama_family();
  family.name = "qwen2";
  family.architectures = {"Qwen2ForCausalLM"};
  family.parse_config = parse_qwen2_config;
  family.block = block_table;
  return family;
}

}  // namespace halftone
