// The config.json that a GGUF file's metadata and tensors amount to (formats.md 12.3).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_metadata.h"

namespace halftone {

// What tensors say of a model's configuration.
struct GgufStored {
  int64_t vocabulary = 0;  // rows of the embedding
  bool own_head = false, attention_biases = false, mlp_biases = false;
  std::string dtype = "float32";     // torch's name of the type that weights are read in
  std::vector<double> rope_factors;  // rope_freqs.weight: what divides each frequency; empty: none
};

struct GgufConfig {
  nlohmann::json config;           // an object
  std::vector<std::string> notes;  // keys that are not understood; one line each
};

// Errors, which name the key: missing, of another kind, contradictory, or something that this
// program cannot compute.
GgufConfig gguf_config(const GgufArchitecture& architecture, const GgufMetadata& metadata,
                       const GgufStored& stored);

}  // namespace halftone
