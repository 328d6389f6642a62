#include "model/family.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {
namespace {

std::vector<int64_t> sizes_of(const std::vector<Dim>& dims, const ModelConfig& config) {
  std::vector<int64_t> shape;
  for (const Dim dim : dims) shape.push_back(size_of(dim, config));
  return shape;
}

NamedTensor named(const TensorSpec& spec, const std::string& prefix, const ModelConfig& config) {
  return {.name = prefix + spec.name,
          .shape = sizes_of(spec.shape, config),
          .presence = spec.presence,
          .rotation = spec.rotation,
          .norm = spec.norm.empty() ? "" : prefix + spec.norm};
}

NamedTensor weight_of(const LinearSpec& spec, const std::string& prefix,
                      const ModelConfig& config) {
  return {.name = prefix + spec.name + ".weight",
          .shape = sizes_of({spec.out, spec.in}, config),
          .rotation = spec.rotation,
          .norm = spec.norm.empty() ? "" : prefix + spec.norm,
          .of_linear = true};
}

NamedTensor bias_of(const LinearSpec& spec, const std::string& prefix, const ModelConfig& config) {
  return {.name = prefix + spec.name + ".bias",
          .shape = sizes_of({spec.out}, config),
          .presence = spec.bias,
          .rotation = spec.rotation};
}

RopeTable rows_of(const RopeTable& table, const at::Tensor& positions) {
  if (!table.cos.defined()) return {};
  return {table.cos.index_select(0, positions), table.sin.index_select(0, positions)};
}

}  // namespace

Positions Positions::at(const at::Tensor& positions) const {
  return {rows_of(rope, positions), rows_of(local_rope, positions)};
}

const std::vector<Family>& families() {
  static const std::vector<Family> list = {
      llama_family(),     qwen2_family(),
      qwen3_family(),     granite_family(),
      olmo2_family(),     phi3_family(),
      smollm3_family(),   gemma2_family(),
      gemma3_family(),    starcoder2_family(),
      gpt_neox_family(),  opt_family(),
      gpt2_family(),      phi_family(),
      falcon_family(),    mixtral_family(),
      qwen2_moe_family(), qwen3_moe_family(),
      gpt_oss_family(),   vit_family(),
      deit_family(),      deit_with_teacher_family(),
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
    case Dim::kHeads:
      return config.heads;
    case Dim::kQuery:
      return config.heads * config.head_dim;
    case Dim::kKeyValue:
      return config.kv_heads * config.head_dim;
    case Dim::kQueryKeyValue:
      return (config.heads + 2 * config.kv_heads) * config.head_dim;
    case Dim::kHeadDim:
      return config.head_dim;
    case Dim::kIntermediate:
      return config.intermediate;
    case Dim::kGateUp:
      return 2 * config.intermediate;
    case Dim::kExperts:
      return config.mixture.experts;
    case Dim::kExpertIntermediate:
      return config.mixture.intermediate;
    case Dim::kChosenIntermediate:
      return config.mixture.per_token * config.mixture.intermediate;
    case Dim::kSharedIntermediate:
      return config.mixture.shared;
    case Dim::kOne:
      return 1;
    case Dim::kEmbeddingWidth:
      return config.embedding_width;
    case Dim::kPositions:
      return config.learned_positions;
    case Dim::kChannels:
      return config.image.channels;
    case Dim::kPatchHeight:
      return config.image.patch_height;
    case Dim::kPatchWidth:
      return config.image.patch_width;
  }
  return 0;
}

bool is_present(Presence presence, const ModelConfig& config) {
  switch (presence) {
    case Presence::kAlways:
      return true;
    case Presence::kNever:
      return false;
    case Presence::kAttentionBias:
      return config.attention_bias;
    case Presence::kMlpBias:
      return config.mlp_bias;
    case Presence::kUntied:
      return !config.tied_embeddings;
    case Presence::kFinalNorm:
      return config.final_norm;
    case Presence::kProjected:
      return config.embedding_width != config.hidden;
  }
  return true;
}

std::vector<NamedTensor> tensors_of(const Family& family, const ModelConfig& config) {
  std::vector<NamedTensor> all;
  for (const TensorSpec& spec : family.outer) all.push_back(named(spec, "", config));
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = fmt::format("{}{}.", family.block_prefix, i);
    const BlockTable table = family.block(config, i);
    for (const TensorSpec& spec : table.tensors) all.push_back(named(spec, prefix, config));
    for (const LinearSpec& spec : table.linears) {
      all.push_back(weight_of(spec, prefix, config));
      all.push_back(bias_of(spec, prefix, config));
    }
  }
  return all;
}

}  // namespace halftone
