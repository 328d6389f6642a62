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
  enum class Kind { kNone, kLinear, kLlama3, kLong, kYarn };
  Kind kind = Kind::kNone;
  double factor = 1, low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_context = 8192;
  // Of kLong: what divides each frequency, in sequences up to the original context and beyond it.
  std::vector<double> short_factors = {}, long_factors = {};
  // Of kYarn: frequencies of so many turns in the original context and more stay, of so many and
  // fewer are divided by the factor; and whether the pairs where that begins and ends are whole.
  double fast_turns = 32, slow_turns = 1;
  bool whole_pairs = true;
  double amplitude = 1;  // of kLong and kYarn: times cos and sin
};

// What hidden units of an MLP go through.
enum class Activation { kSilu, kGelu, kGeluTanh, kRelu };

// How a block adds attention and MLP to the residual stream x.
enum class Residual {
  kSequential,  // x + attention(norm(x)), then the same with the MLP
  kParallel,    // x + attention(norm(x)) + mlp(norm(x))
  kPostNorm,    // norm(x + attention(x)), then the same with the MLP
};

// A gated product whose gates are at most `limit` and whose ups lie within it:
// gate sigmoid(slope gate) (up + 1).   limit 0: there is none
struct GateClamp {
  double slope = 1, limit = 0;
};

// A mixture of experts in the place of a block's MLP.
struct Mixture {
  int64_t experts = 0;           // 0: there is none
  int64_t per_token = 0;         // experts that each token goes to
  int64_t intermediate = 0;      // of an expert
  int64_t shared = 0;            // intermediate of the expert that every token goes to; 0: none
  bool renormalized = false;     // the weights of a token's experts are divided by their sum
  bool biased = false;           // router and experts have biases
  std::vector<bool> dense = {};  // by layer, whether it has an MLP all the same; empty: none has
};

// What a classifier of images reads in place of tokens, in pixels.
struct ImageSizes {
  int64_t channels = 0, height = 0, width = 0;
  int64_t patch_height = 0, patch_width = 0;  // of which height and width are whole numbers
  // Positions before those of the patches, which the head reads: an image is one decision.
  int64_t class_tokens = 0;

  int64_t patches() const { return (height / patch_height) * (width / patch_width); }
  int64_t positions() const { return class_tokens + patches(); }
  int64_t patch_numbers() const { return channels * patch_height * patch_width; }
};

struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM"
  int64_t layers = 0, hidden = 0, intermediate = 0, vocab = 0, context = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t rotary_dim = 0;         // of head_dim: so many rotate, the first ones; 0: none
  int64_t learned_positions = 0;  // rows of a table of position embeddings; 0: there is none
  int64_t embedding_width = 0;    // of embedding and head: hidden, or what is projected to it
  Residual residual = Residual::kSequential;
  bool separate_mlp_norm = true;  // of its own, where the MLP stands beside attention
  bool final_norm = true;         // behind the last block
  double norm_epsilon = 1e-5, rope_theta = 10000;
  RopeScaling rope_scaling;
  int64_t sliding_window = 0;   // 0: none
  std::vector<bool> windowed;   // by layer, whether it has that window; empty: all have
  std::vector<bool> rotary;     // by layer, whether positions turn queries and keys; empty: all do
  double local_rope_theta = 0;  // of layers with a window, unscaled; 0: as the others
  Activation activation = Activation::kSilu;
  GateClamp gate_clamp;
  double norm_offset = 0;                   // added to the weights of all norms
  double embedding_scale = 1;               // times the embedding's rows
  double residual_scale = 1;                // times what is added to the residual stream
  double attention_scale = 0;               // times queries times keys; 0: head_dim^-1/2
  double attention_cap = 0;                 // scores s become cap tanh(s / cap); 0: none
  double logit_divisor = 1, logit_cap = 0;  // of the head's output, the cap last
  bool attention_bias = false, mlp_bias = false, tied_embeddings = false;
  Mixture mixture;
  ImageSizes image;
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
  bool is_rotary(int64_t layer) const {
    return rotary.empty() || rotary[static_cast<size_t>(layer)];
  }
  bool reads_images() const { return image.class_tokens > 0; }
  bool is_mixture(int64_t layer) const {
    return mixture.experts > 0 &&
           (mixture.dense.empty() || !mixture.dense[static_cast<size_t>(layer)]);
  }
};

// What config.json says of an online rotation: {"quantization_config": {"online_rotation": {"seed":
// N}}}, of `native` folders only. With a key of their quantization no reader can overlook it.
nlohmann::json online_rotation_json(uint64_t seed);  // {"online_rotation": ...}

// The name under "architectures". Error if there is not exactly one.
std::string architecture_of(const nlohmann::json& config);

// How a family spells its rotary embeddings at the top level of config.json, and which share of a
// head rotates where no key says so; share_key null: a whole head, whatever is said.
struct RopeKeys {
  const char* theta = "rope_theta";
  const char* share_key = nullptr;  // "partial_rotary_factor"
  double share = 1;
  bool yarn = false;  // a rope type that it knows
};
// rope_theta, rope_scaling and rotary_dim, by head_dim. Errors: a rope type other than default,
// linear, llama3 or, where the family knows it, yarn; a share that is no even number of a head, or
// one below 1 without a key for it.
void parse_rope(const nlohmann::json& config, const RopeKeys& keys, ModelConfig& model);

// Llama 1-3.x, Mistral, SmolLM2: `rope_theta`/`rope_scaling` and `rope_parameters` spellings;
// absent keys mean what the architecture's own configuration class fills in (transformers 4.57
// to 5.24). Errors: missing or senseless numbers; activation other than silu; a rope type other
// than default, linear, llama3.   rope: how the family spells it
ModelConfig parse_llama_config(const nlohmann::json& config, const RopeKeys& rope);
ModelConfig parse_llama_config(const nlohmann::json& config);  // a whole head rotates

// What Gemma 2 and 3 have in common: all but caps and which layers have the window.
ModelConfig parse_gemma_config(const nlohmann::json& config);

// Qwen's window: where use_sliding_window asks for it, in the layers that layer_types names or from
// max_window_layers on.
void parse_upper_window(const nlohmann::json& config, ModelConfig& model);

}  // namespace halftone
