#include "model/family.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

const std::vector<Family>& families() {
  static const std::vector<Family> list = {
      llama_family(),
  };
  return list;
}

const Family& find_family(const std::string& architecture) {
  std::string known;
  for (const Family& family : families()) {
    for (const char* name : family.architectures) {
      if (architecture == name) return family;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
  }
  fail("config.json: architecture {} is not supported; supported are {}", printable(architecture),
       known);
}

int64_t size_of(Dim dim, const ModelConfig& config) {
  switch (dim) {
    case Dim::kVocab:
      return config.vocab;
    case Dim::kHidden:
      return config.hidden;
    case Dim::kQuery:
      return config.heads * config.head_dim;
    case Dim::kKeyValue:
      return config.kv_heads * config.head_dim;
    case Dim::kIntermediate:
      return config.intermediate;
  }
  return 0;
}

std::vector<int64_t> shape_of(const TensorSpec& spec, const ModelConfig& config) {
  std::vector<int64_t> shape;
  for (const Dim dim : spec.shape) shape.push_back(size_of(dim, config));
  return shape;
}

bool is_present(const TensorSpec& spec, const ModelConfig& config) {
  switch (spec.presence) {
    case Presence::kAlways:
      return true;
    case Presence::kAttentionBias:
      return config.attention_bias;
    case Presence::kMlpBias:
      return config.mlp_bias;
    case Presence::kUntied:
      return !config.tied_embeddings;
  }
  return true;
}

}  // namespace halftone
