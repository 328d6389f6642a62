#include "transform/rotated_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <tuple>

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
  json_.update(config.unasked);
  json_["tie_word_embeddings"] = false;
  if (options.online) {
    const uint64_t seed = options.seed + 3;
    json_["quantization_config"] = online_rotation_json(seed);
    product_ = hadamard(config.intermediate, seed);
  }
  bool any = false, any_product = false;
  for (NamedTensor& tensor : tensors_of(family, config)) {
    any = any || tensor.rotation != Rotation::kNone;
    any_product = any_product || tensor.rotation == Rotation::kProductWriter;
    const std::string name = tensor.name;
    places_.emplace(name, std::move(tensor));
  }
  require(any && family.unrotatable == nullptr,
          "transform.rotation: the {} family cannot be rotated{}{}", family.name,
          family.unrotatable == nullptr ? "" : ": ",
          family.unrotatable == nullptr ? "" : family.unrotatable);
  require(any_product || !options.online,
          "transform.online: the {} family has no down projections of one width", family.name);
}

std::vector<std::string> RotatedWeights::names() const {
  std::vector<std::string> names = source_->names();
  const auto place = std::ranges::lower_bound(names, family_.head);
  if (place == names.end() || *place != family_.head) names.insert(place, family_.head);
  return names;
}

bool RotatedWeights::contains(std::string_view name) const {
  return name == family_.head || source_->contains(name);
}

const NamedTensor& RotatedWeights::place_of(std::string_view name) const {
  const auto place = places_.find(name);
  require(place != places_.end(), "{}: not a tensor of this model", printable(name));
  return place->second;
}

std::string RotatedWeights::source_name(std::string_view name) const {
  return source_->contains(name) ? std::string(name) : std::string(family_.embedding);
}

WeightInfo RotatedWeights::info(std::string_view name) const {
  return {source_->info(source_name(place_of(name).name)).shape, dtype_};
}

void RotatedWeights::release(std::string_view name) const {
  source_->release(source_name(name));
}

at::Tensor RotatedWeights::stored(const std::string& name) const {
  at::Tensor wide = source_->load(name).to(at::kDouble);
  source_->release(name);
  return wide;
}

at::Tensor RotatedWeights::load(std::string_view name) const {
  const NamedTensor& place = place_of(name);
  return rotated(place, stored(source_name(name))).to(dtype_).contiguous();
}

at::Tensor RotatedWeights::load_rows(std::string_view name, const at::Tensor& index) const {
  const NamedTensor& place = place_of(name);
  if (place.rotation != Rotation::kEmbedding && place.rotation != Rotation::kReader)
    return load(name).index_select(0, index);
  // each row once, however often it is asked for
  const auto [rows, position] = at::_unique(index, /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor weight = source_->load_rows(source_name(name), rows).to(at::kDouble);
  return rotated(place, weight).to(dtype_).index_select(0, position);
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

at::Tensor RotatedWeights::folded(const NamedTensor& place, const at::Tensor& weight) const {
  return weight * stored(place.norm);
}

at::Tensor RotatedWeights::rotated(const NamedTensor& place, const at::Tensor& weight) const {
  const bool is_list = weight.dim() == 1;
  if (is_list && place.rotation != Rotation::kNorm) return rotate_bias(place, weight);
  switch (place.rotation) {
    case Rotation::kNone:
      return weight;
    case Rotation::kNorm:
      return at::ones_like(weight);
    case Rotation::kEmbedding:
      return rotate_in(weight);
    case Rotation::kReader:
      return rotate_in(folded(place, weight));
    case Rotation::kWriter:
      return rotate_out(weight);
    case Rotation::kProductWriter:
      return rotate_out(product_ ? multiply(weight, *product_) : weight);
    case Rotation::kValue:  // a reader whose outputs are rotated within each head
      return rotate_heads(rotate_in(folded(place, weight)).t()).t();
    case Rotation::kHeadMixer:  // a writer whose inputs come rotated within each head
      return rotate_out(rotate_heads(weight));
  }
  return weight;
}

at::Tensor RotatedWeights::rotate_bias(const NamedTensor& place, const at::Tensor& bias) const {
  switch (place.rotation) {
    case Rotation::kValue:
      return rotate_heads(bias);
    case Rotation::kWriter:
    case Rotation::kHeadMixer:
    case Rotation::kProductWriter:
      return rotate_out(bias);
    default:
      return bias;
  }
}

}  // namespace halftone
