#include "model/model.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace halftone {
namespace {

bool is_weight_dtype(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf ||
         dtype == at::kDouble;
}

// "a.b.weight" -> "a.b": packed files hold a.b.qweight and the like in its place.
std::string module_of(const std::string& name) {
  return name.substr(0, name.rfind('.'));
}

// The stored tensor, if it is what the table of tensors says.
at::Tensor load_checked(const WeightSource& source, const std::string& name,
                        const std::vector<int64_t>& shape) {
  at::Tensor tensor = source.load(name);
  require(is_weight_dtype(tensor.scalar_type()),
          "{}: expected float32, float16 or bfloat16 numbers, found {}", name,
          c10::toString(tensor.scalar_type()));
  require(tensor.sizes() == at::IntArrayRef(shape),
          "{}: expected shape [{}] by config.json, found [{}]", name, fmt::join(shape, ", "),
          fmt::join(tensor.sizes().vec(), ", "));
  return tensor;
}

}  // namespace

Model::Model(std::shared_ptr<const WeightSource> source,
             const std::vector<std::string>& stored_names)
    : source_(std::move(source)),
      family_(&find_family(architecture_of(source_->config()))),
      config_(family_->parse_config(source_->config())) {
  check_tensors(stored_names);
  if (config_.online_seed) online_ = hadamard(config_.intermediate, *config_.online_seed);
}

std::string Model::block_prefix(int64_t index) const {
  return fmt::format("{}{}.", family_->block_prefix, index);
}

void Model::check_tensors(const std::vector<std::string>& stored_names) const {
  std::set<std::string> known_modules;
  const auto check = [&](const std::string& name, const TensorSpec& spec, bool load) {
    known_modules.insert(module_of(name));
    if (!is_present(spec, config_)) return;
    require(source_->contains(name), "{}: missing; config.json ({}) asks for it", name,
            config_.architecture);
    if (load) load_checked(*source_, name, shape_of(spec, config_));
  };
  for (const TensorSpec& spec : family_->outer) check(spec.name, spec, true);
  for (int64_t i = 0; i < config_.layers; ++i) {
    // the weights of linears are checked when they are loaded: a packed one would be unpacked here
    for (const TensorSpec& spec : family_->block)
      check(block_prefix(i) + spec.name, spec, spec.stage < 0);
  }
  for (const std::string& name : stored_names) {
    const bool ignored = std::any_of(family_->ignored.begin(), family_->ignored.end(),
                                     [&](const char* suffix) { return name.ends_with(suffix); });
    require(ignored || known_modules.contains(module_of(name)),
            "{}: not a tensor of {} with {} layers; the model would not be computed as its author "
            "meant",
            printable(name), config_.architecture, config_.layers);
  }
}

int64_t Model::parameters() const {
  const auto count = [&](const std::vector<TensorSpec>& specs) {
    int64_t total = 0;
    for (const TensorSpec& spec : specs)
      if (is_present(spec, config_)) total += c10::multiply_integers(shape_of(spec, config_));
    return total;
  };
  return count(family_->outer) + config_.layers * count(family_->block);
}

at::ScalarType Model::dtype() const {
  return source_->load(family_->embedding).scalar_type();
}

std::vector<LinearSlot> Model::linears_of_block(int64_t index) const {
  std::vector<LinearSlot> slots;
  for (const TensorSpec& spec : family_->block) {
    if (spec.stage < 0) continue;
    const auto shape = shape_of(spec, config_);
    const std::string relative = module_of(spec.name);
    slots.push_back({block_prefix(index) + relative, relative, shape[0], shape[1], spec.stage,
                     online_ && spec.rotation == Rotation::kProductWriter});
  }
  return slots;
}

std::vector<LinearSlot> Model::linears() const {
  std::vector<LinearSlot> all;
  for (int64_t i = 0; i < config_.layers; ++i) {
    const auto block = linears_of_block(i);
    all.insert(all.end(), block.begin(), block.end());
  }
  return all;
}

std::vector<std::string> Model::other_tensors() const {
  std::vector<std::string> names;
  for (const TensorSpec& spec : family_->outer)
    if (is_present(spec, config_)) names.push_back(spec.name);
  for (int64_t i = 0; i < config_.layers; ++i)
    for (const TensorSpec& spec : family_->block)
      if (spec.stage < 0 && is_present(spec, config_)) names.push_back(block_prefix(i) + spec.name);
  return names;
}

at::Tensor Model::load(const std::string& name, const std::vector<int64_t>& shape,
                       const Execution& execution) const {
  // the copy keeps nothing of the mapping; pages are given back at once
  at::Tensor tensor = load_checked(*source_, name, shape)
                          .to(execution.device, execution.dtype, false, /*copy=*/true);
  source_->release(name);
  return tensor;
}

Block Model::load_block(int64_t index, const Execution& execution, const RopeTable& rope) const {
  Block block{index, &config_, &rope, {}, {}, online()};
  for (const TensorSpec& spec : family_->block) {
    if (!is_present(spec, config_)) continue;
    const std::string name = block_prefix(index) + spec.name;
    block.tensors[spec.name] = load(name, shape_of(spec, config_), execution);
  }
  return block;
}

at::Tensor Model::embedding() const {
  return source_->load(family_->embedding);
}

at::Tensor Model::embed(const at::Tensor& table, const at::Tensor& ids,
                        const Execution& execution) {
  const at::Tensor rows = at::embedding(table, ids.to(at::kLong));
  return rows.to(execution.device, execution.dtype);
}

at::Tensor Model::final_norm(const at::Tensor& hidden, const Execution& execution) const {
  return family_->normalize(hidden, load(family_->final_norm, {config_.hidden}, execution),
                            config_);
}

at::Tensor Model::head(const Execution& execution) const {
  return load(config_.tied_embeddings ? family_->embedding : family_->head,
              {config_.vocab, config_.hidden}, execution);
}

void Model::run_block(const Block& block, BlockState& state) const {
  for (int stage = 0; stage < family_->stages; ++stage)
    family_->advance(block, stage, family_->stage_input(block, stage, state), state);
}

}  // namespace halftone
