#include "model/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "model/stored_tensors.h"

namespace halftone {

Model::Model(std::shared_ptr<const WeightSource> source)
    : source_(std::move(source)),
      family_(&find_family(architecture_of(source_->config()))),
      config_(family_->parse_config(source_->config())) {
  fit_to_stored(*source_, *family_, config_);
  check_tensors(*source_, *family_, config_);
  if (config_.online_seed) online_ = hadamard(config_.intermediate, *config_.online_seed);
  make_slots();
}

void Model::make_slots() {
  for (int64_t block = 0; block < config_.layers; ++block) {
    first_slot_.push_back(slots_.size());
    for (const LinearSpec& spec : family_->block(config_, block).linears)
      slots_.push_back({.name = block_prefix(block) + spec.name,
                        .relative = spec.name,
                        .out = size_of(spec.out, config_),
                        .in = size_of(spec.in, config_),
                        .index = slots_.size() - first_slot_.back(),
                        .stage = spec.stage,
                        .input = static_cast<size_t>(spec.input),
                        .expert = spec.expert,
                        .has_bias = is_present(spec.bias, config_),
                        .reads_rotated = online_ && spec.rotation == Rotation::kProductWriter});
    assert(std::ranges::is_sorted(linears_of_block(block), {}, &LinearSlot::stage));
  }
}

std::string Model::block_prefix(int64_t index) const {
  return fmt::format("{}{}.", family_->block_prefix, index);
}

int64_t Model::parameters() const {
  int64_t total = 0;
  for (const NamedTensor& tensor : tensors_of(*family_, config_))
    if (is_present(tensor.presence, config_)) total += c10::multiply_integers(tensor.shape);
  return total;
}

at::ScalarType Model::dtype() const {
  return source_->info(family_->embedding).dtype;
}

std::span<const LinearSlot> Model::linears_of_block(int64_t index) const {
  const auto block = static_cast<size_t>(index);
  const size_t first = first_slot_[block];
  const size_t end = block + 1 < first_slot_.size() ? first_slot_[block + 1] : slots_.size();
  return std::span(slots_).subspan(first, end - first);
}

std::span<const LinearSlot> Model::linears_of_stage(int64_t index, int stage) const {
  const auto found =
      std::ranges::equal_range(linears_of_block(index), stage, {}, &LinearSlot::stage);
  return {found.begin(), found.end()};
}

std::vector<std::string> Model::other_tensors() const {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : tensors_of(*family_, config_))
    if (!tensor.of_linear && is_present(tensor.presence, config_)) names.push_back(tensor.name);
  return names;
}

Positions Model::positions(int64_t length, const Execution& execution) const {
  return family_->positions(config_, length, execution.device, execution.dtype);
}

at::Tensor Model::load(const std::string& name, const Execution& execution) const {
  // the copy keeps nothing of the mapping; pages are given back at once
  at::Tensor tensor =
      source_->load(name).to(execution.device, execution.dtype, false, /*copy=*/true);
  source_->release(name);
  return tensor;
}

Linear Model::load_linear(const LinearSlot& slot, const Execution& execution) const {
  return {.weight = load(slot.name + ".weight", execution),
          .bias = slot.has_bias ? load(slot.name + ".bias", execution) : at::Tensor(),
          .rotation = slot.reads_rotated ? online() : nullptr};
}

Block Model::load_block(int64_t index, const Execution& execution,
                        const Positions& positions) const {
  Block block{.index = index, .layer = family_->layer(config_, index), .positions = &positions};
  for (const TensorSpec& spec : family_->block(config_, index).tensors)
    block.tensors.push_back(is_present(spec.presence, config_)
                                ? load(block_prefix(index) + spec.name, execution)
                                : at::Tensor());
  for (const LinearSlot& slot : linears_of_block(index))
    block.linears.push_back(load_linear(slot, execution));
  return block;
}

bool Model::is_embedding(const std::string& name) const {
  return name == family_->embedding ||
         std::ranges::any_of(family_->embeds, [&](const char* each) { return name == each; });
}

Head Model::load_head_tensors(const Execution& execution) const {
  Head head;
  for (const TensorSpec& spec : family_->outer)
    if (!is_embedding(spec.name) && spec.name != family_->head)
      head.tensors.push_back(is_present(spec.presence, config_) ? load(spec.name, execution)
                                                                : at::Tensor());
  return head;
}

Head Model::load_head(const Execution& execution) const {
  Head head = load_head_tensors(execution);
  head.linear.weight =
      load_copy(*source_, config_.tied_embeddings ? family_->embedding : family_->head,
                execution.device, execution.dtype);
  return head;
}

std::map<std::string, at::Tensor> Model::load_embedding(const Execution& execution,
                                                        const at::Tensor& tied) const {
  std::map<std::string, at::Tensor> tables;
  for (const TensorSpec& spec : family_->outer) {
    if (!is_embedding(spec.name) || !is_present(spec.presence, config_)) continue;
    const bool is_head = config_.tied_embeddings && spec.name == family_->embedding;
    tables[spec.name] =
        is_head ? tied : load_copy(*source_, spec.name, execution.device, execution.dtype);
  }
  return tables;
}

at::Tensor Model::embed(const at::Tensor& items, const Execution& execution) const {
  const RowLookup rows = [&](const std::string& name, const at::Tensor& index) {
    const at::Tensor found = source_->load_rows(name, index.flatten().to(at::kLong));
    at::Tensor converted = found.to(execution.device, execution.dtype);
    source_->release(name);
    return converted.unflatten(0, index.sizes());
  };
  return embed(items, rows, at::Tensor());
}

std::vector<at::Tensor> Model::advance(const Block& block, int stage,
                                       const std::vector<StageInput>& inputs,
                                       BlockState& state) const {
  const auto slots = linears_of_stage(block.index, stage);
  std::vector<at::Tensor> outputs(slots.size());
  // the last linear first: the gradients at a shared input are then summed from the first on
  for (size_t i = slots.size(); i-- > 0;)
    outputs[i] = block.linears[slots[i].index].apply(inputs[slots[i].input].x);
  family_->advance(block, stage, outputs, state);
  return outputs;
}

void Model::run_block(const Block& block, BlockState& state) const {
  for (int stage = 0; stage < family_->stages; ++stage)
    (void)advance(block, stage, inputs(block, stage, state), state);
}

}  // namespace halftone
