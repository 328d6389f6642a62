#include "calibrate/calibration.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "calibrate/blend.h"
#include "calibrate/expert_pool.h"
#include "calibrate/fisher_gate.h"

namespace halftone {
namespace {

// Whether anything about a linear is taken behind the quantized prefix.
bool needs_prefix(const ObjectiveOptions& objective, ScheduleKind schedule) {
  return objective.needs_input_hessian() || objective.kind == ObjectiveKind::kGuided ||
         (objective.needs_gradients() && schedule == ScheduleKind::kBlockWise);
}

}  // namespace

Calibration::Calibration(const Model& model, const ModelInputs& inputs, const Execution& execution,
                         CalibrationOptions options, Progress& progress)
    : model_(model), execution_(execution), options_(std::move(options)), progress_(progress) {
  if (!inputs.items.defined()) return;
  sequences_.emplace(inputs);
  sequences_->hold_out(options_.held_out);
  stream_.emplace(model, *sequences_, embedded(model, *sequences_, execution, options_.storage),
                  execution, options_.two_streams);
  // what the linears ask for together
  const ScheduleKind schedule = options_.model.schedule;
  bool prefix = options_.head || options_.inputs, gradients = false;
  const double first_token = options_.model.first_token;
  const auto weigh_first_token = [&](bool needed) {
    if (needed && first_token != 1 && !input_weights_.values.defined())
      input_weights_ = first_token_weights(*sequences_, first_token, execution.device);
  };
  weigh_first_token(options_.head || options_.inputs);
  for (const LinearSlot& linear : model.linears()) {
    const ObjectiveOptions objective = options_.objective(linear);
    prefix = prefix || needs_prefix(objective, schedule);
    gradients = gradients || objective.needs_gradients();
    weigh_first_token(objective.needs_input_hessian());
    drift_ = drift_ || (options_.two_streams && schedule == ScheduleKind::kBlockWise &&
                        objective.kind == ObjectiveKind::kOac);
  }
  if (gradients) prepare_gradients();
  if (!prefix) stream_.reset();
}

void Calibration::prepare_gradients() {
  store_.emplace(options_.memory_limit, options_.spill_folder);
  backward_.emplace(model_, *sequences_, execution_, stream_->positions(), *store_);
  gradients_.emplace(model_, options_.objective, *sequences_, execution_.device, *store_);
  if (options_.model.schedule == ScheduleKind::kBlockWise) return;
  const int64_t layers = model_.config().layers;
  progress_.begin("gradients", 2 * layers);
  int64_t done = 0;
  take_gradients(0, layers,
                 [&](int64_t block) { progress_.update(++done, fmt::format("block {}", block)); });
  progress_.end();
  backward_.reset();
}

void Calibration::take_gradients(int64_t first, int64_t end,
                                 const std::function<void(int64_t)>& passed) {
  backward_->run(stream_->activations(), first, end,
                 {.labels = options_.model.labels,
                  .seed = options_.seed + static_cast<uint64_t>(first),
                  .original = drift_ ? &stream_->original_activations() : nullptr,
                  .passed = passed},
                 *gradients_);
}

void Calibration::enter(int64_t index) {
  require(!inside_ && index == index_ + 1, "block {} is calibrated: expected block {} to be {}",
          index, inside_ ? index_ : index_ + 1, inside_ ? "left" : "entered");
  return_free_memory();  // the solver of the last block has freed many pieces
  index_ = index;
  inside_ = true;
  replaced_unmeasured_ = false;
  next_stage_ = 0;
}

void Calibration::load() {
  if (!stream_ || block_) return;
  block_ = model_.load_block(index_, execution_, stream_->positions());
  if (options_.two_streams) original_ = block_;
}

StageStatistics Calibration::sum_inputs(int stage, std::span<const LinearSlot> linears) {
  StageStatistics statistics;
  for (const LinearSlot& linear : linears)
    statistics.inputs.resize(std::max(statistics.inputs.size(), linear.input + 1));
  std::vector<StageSum> asked;
  std::vector<LinearStatistics*> answers;  // to each
  for (size_t input = 0; input < statistics.inputs.size(); ++input) {
    const bool needed = std::ranges::any_of(linears, [&](const LinearSlot& linear) {
      return linear.input == input &&
             (options_.inputs || options_.objective(linear).needs_input_hessian());
    });
    if (!needed) continue;
    asked.push_back({input, input_weights_});
    answers.push_back(&statistics.inputs[input]);
  }
  for (const LinearSlot& linear : linears) {
    if (options_.objective(linear).kind != ObjectiveKind::kGuided) continue;
    asked.push_back({linear.input, gradients_->take_token_weights(linear)});
    answers.push_back(&statistics.linears[linear.name]);
  }
  if (!stream_) return statistics;
  std::vector<LinearStatistics> sums = stream_->measure(*block_, original(), stage, asked);
  for (size_t i = 0; i < sums.size(); ++i) *answers[i] = std::move(sums[i]);
  return statistics;
}

void Calibration::add_gradients(const LinearSlot& linear, LinearStatistics& sums) {
  const LinearStatistics gradients = gradients_->take(linear);
  sums.row_energies = gradients.row_energies;
  sums.skipped_sequences = std::max(sums.skipped_sequences, gradients.skipped_sequences);
}

LinearStatistics Calibration::output_statistics(const LinearSlot& linear,
                                                const ObjectiveOptions& objective,
                                                const LinearStatistics& input) {
  const bool has_gate = objective.kind == ObjectiveKind::kOac && objective.gate > 0;
  const at::Tensor held_out = has_gate ? gradients_->take_held_out(linear) : at::Tensor();
  LinearStatistics own = gradients_->take(linear);
  if (!has_gate) return own;
  own.gate_score = fisher_gate_score(own.hessian, held_out, input.hessian);
  if (own.gate_score >= objective.gate) return own;
  own.hessian = input.hessian;
  own.cross_moment = input.cross_moment;
  own.fallback =
      fmt::format("input Hessian (the Fisher matrix scores {:.3g} times as high)", own.gate_score);
  return own;
}

StageStatistics Calibration::measure(int stage) {
  require(inside_, "stage {} is measured: expected a block to be entered", stage);
  require(!replaced_unmeasured_, "block {} is measured: expected no linear to be replaced before",
          index_);
  require(stage == next_stage_, "block {}, stage {} is measured: expected stage {}", index_, stage,
          next_stage_);
  ++next_stage_;
  if (options_.known) {
    StageStatistics known;
    for (const LinearSlot& linear : model_.linears_of_stage(index_, stage))
      known.linears[linear.name] = options_.known(linear);
    return known;
  }
  if (!sequences_) return {};
  if (stage == 0 && backward_) {
    const auto linears = static_cast<int64_t>(model_.linears_of_block(index_).size());
    take_gradients(index_, index_ + 1, [&](int64_t block) {
      progress_.update(index_ * linears, fmt::format("gradients, block {}", block));
    });
  }
  load();
  const std::span<const LinearSlot> linears = model_.linears_of_stage(index_, stage);
  StageStatistics statistics = sum_inputs(stage, linears);
  std::vector<bool> shared(statistics.inputs.size(), options_.inputs);
  for (const LinearSlot& linear : linears) {
    const ObjectiveOptions objective = options_.objective(linear);
    if (objective.kind == ObjectiveKind::kInput) {
      shared[linear.input] = true;
      continue;
    }
    const LinearStatistics& input = statistics.inputs[linear.input];
    LinearStatistics& own = statistics.linears[linear.name];
    if (objective.kind == ObjectiveKind::kGuided)
      add_gradients(linear, own);
    else if (objective.needs_gradients())
      own = output_statistics(linear, objective, input);
    if (objective.needs_gradients() && objective.blend > 0 && own.fallback.empty())
      blend(own, input, objective.blend);
    if (objective.kind == ObjectiveKind::kDiagonal) own.hessian = at::diag(own.hessian.diagonal());
  }
  for (size_t input = 0; input < shared.size(); ++input)
    if (!shared[input])
      statistics.inputs[input] = {};  // it has been mixed in where it was asked for
  pool_experts(linears, options_.model.pool, statistics);
  return statistics;
}

void Calibration::replace(const LinearSlot& linear, const at::Tensor& weights) {
  const bool measured = next_stage_ > 0;
  const auto linears = inside_ ? model_.linears_of_block(index_) : std::span<const LinearSlot>();
  require(linear.index < linears.size() && linears[linear.index].name == linear.name &&
              (!measured || linear.stage == next_stage_ - 1),
          "{} is replaced: expected a linear of block {}{}", linear.name, index_,
          measured ? fmt::format(", stage {}", next_stage_ - 1) : "");
  replaced_unmeasured_ = !measured;
  load();
  if (!block_) return;
  at::Tensor& weight = block_->linears[linear.index].weight;
  weight = weights.to(weight.device(), weight.scalar_type());
}

void Calibration::leave() {
  const int stages = model_.family().stages;
  require(inside_ && (next_stage_ == 0 || next_stage_ == stages),
          "block {} is left: expected stage {} to be measured", index_, next_stage_);
  load();
  if (block_) {
    for (; next_stage_ < stages; ++next_stage_)
      (void)stream_->measure(*block_, original(), next_stage_, {});
    stream_->leave(*block_, original());
  }
  if (gradients_) gradients_->forget(index_);
  block_.reset();
  original_.reset();
  inside_ = false;
}

LinearStatistics Calibration::measure_head() {
  require(!inside_ && index_ + 1 == model_.config().layers,
          "the head is measured: expected the last block to be left");
  if (!options_.head || !stream_) return {};
  return_free_memory();  // of the last block's solver
  return stream_->measure_head(input_weights_);
}

std::optional<int64_t> Calibration::left_out_sequences() const {
  return sequences_ ? std::optional(sequences_->left_out()) : std::nullopt;
}

}  // namespace halftone
