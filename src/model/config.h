// config.json of a Hugging Face model as checked numbers. Anything unsupported is an Error that
// names it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace halftone {

struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1, low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_context = 8192;
};

struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM"
  int64_t layers = 0, hidden = 0, intermediate = 0, vocab = 0, context = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double norm_epsilon = 1e-5, rope_theta = 10000;
  RopeScaling rope_scaling;
  int64_t sliding_window = 0;  // 0: none
  std::vector<bool> windowed;  // by layer, whether it has that window; empty: all have
  bool attention_bias = false, mlp_bias = false, tied_embeddings = false;
  // The input of every down projection is multiplied by hadamard(intermediate, seed) before the
  // linear sees it (matrix/orthogonal.h; methods.md 8.2, step 5); none: as published.
  std::optional<uint64_t> online_seed;
  // Keys that config.json lacks for what is stored without being asked for
  // (model/stored_tensors.h), an object.
  nlohmann::json unasked = nlohmann::json::object();
  std::vector<std::string> notes;  // what the files say twice and differently; one line each

  int64_t window_of(int64_t layer) const {
    return windowed.empty() || windowed[static_cast<size_t>(layer)] ? sliding_window : 0;
  }
};

// What config.json says of an online rotation: {"quantization_config": {"online_rotation": {"seed":
// N}}}, of `native` folders only. With a key of their quantization no reader can overlook it.
nlohmann::json online_rotation_json(uint64_t seed);  // {"online_rotation": ...}

// The name under "architectures". Error if there is not exactly one.
std::string architecture_of(const nlohmann::json& config);

// Llama 1-3.x, Mistral, SmolLM2: `rope_theta`/`rope_scaling` and `rope_parameters` spellings;
// absent keys mean what the architecture's own configuration class fills in (transformers 4.57
// to 5.24). Errors: missing or senseless numbers; activation other than silu; a rope type other
// than default, linear, llama3.
ModelConfig parse_llama_config(const nlohmann::json& config);

}  // namespace halftone
