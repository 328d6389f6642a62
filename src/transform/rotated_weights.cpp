#include "transform/rotated_weights.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

RotatedWeights::RotatedWeights(std::shared_ptr<const WeightSource> source, const Family& family,
                               const ModelConfig& config, const RotationOptions& options)
    : source_(std::move(source)),
      family_(family),
      config_(config),
      json_(source_->config()),
      dtype_(options.dtype),
      signs_(random_signs(config.hidden, options.seed)),
      residual_(hadamard(config.hidden, options.seed + 1)),
      head_(hadamard(config.head_dim, options.seed + 2)) {
  require(!config.online_seed, "transform.rotation: the model has an online rotation already");
  json_["tie_word_embeddings"] = false;
  if (options.online) {
    const uint64_t seed = options.seed + 3;
    json_["quantization_config"] = online_rotation_json(seed);
    product_ = hadamard(config.intermediate, seed);
  }
  bool any = false;
  const auto add = [&](const TensorSpec& spec, const std::string& prefix) {
    places_[prefix + spec.name] = {spec, prefix};
    any = any || spec.rotation != Rotation::kNone;
  };
  for (const TensorSpec& spec : family.outer) add(spec, "");
  for (int64_t i = 0; i < config.layers; ++i)
    for (const TensorSpec& spec : family.block)
      add(spec, fmt::format("{}{}.", family.block_prefix, i));
  require(any, "transform.rotation: the {} family cannot be rotated", family.name);
}

bool RotatedWeights::contains(std::string_view name) const {
  return name == family_.head || source_->contains(name);
}

void RotatedWeights::release(std::string_view name) const {
  if (source_->contains(name)) source_->release(name);
}

at::Tensor RotatedWeights::stored(const std::string& name) const {
  return source_->load(name).to(at::kDouble);
}

at::Tensor RotatedWeights::load(std::string_view name) const {
  const auto place = places_.find(name);
  require(place != places_.end(), "{}: not a tensor of this model", printable(name));
  return rotate(std::string(name), place->second).to(dtype_).contiguous();
}

at::Tensor RotatedWeights::rotate_in(const at::Tensor& weight) const {
  return multiply(weight * signs_, residual_);
}

at::Tensor RotatedWeights::rotate_out(const at::Tensor& weight) const {
  return weight.dim() == 1 ? rotate_in(weight) : rotate_in(weight.t()).t();
}

at::Tensor RotatedWeights::rotate_heads(const at::Tensor& values) const {
  return multiply(values.unflatten(-1, {-1, config_.head_dim}), head_).flatten(-2);
}

at::Tensor RotatedWeights::rotate(const std::string& name, const Place& place) const {
  // a tied head has no tensor of its own: it starts as the embedding
  const bool own = source_->contains(name);
  const at::Tensor weight = stored(own ? name : std::string(family_.embedding));
  const bool bias = weight.dim() == 1;
  const auto folded = [&] { return weight * stored(std::string(place.prefix) + place.spec.norm); };
  switch (place.spec.rotation) {
    case Rotation::kNone:
      return weight;
    case Rotation::kNorm:
      return at::ones_like(weight);
    case Rotation::kEmbedding:
      return rotate_in(weight);
    case Rotation::kReader:
      return bias ? weight : rotate_in(folded());
    case Rotation::kWriter:
      return rotate_out(weight);
    case Rotation::kProductWriter:
      return rotate_out(product_ ? multiply(weight, *product_) : weight);
    case Rotation::kValue:  // a reader whose outputs are rotated within each head
      return bias ? rotate_heads(weight) : rotate_heads(rotate_in(folded()).t()).t();
    case Rotation::kHeadMixer:  // a writer whose inputs come rotated within each head
      return bias ? rotate_out(weight) : rotate_out(rotate_heads(weight));
  }
  return weight;
}

}  // namespace halftone
