#include "calibrate/calibration.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "calibrate/blend.h"
#include "calibrate/fisher_gate.h"

namespace halftone {
namespace {

// Whether anything about a linear is taken behind the quantized prefix.
bool needs_prefix(const ObjectiveOptions& objective, ScheduleKind schedule) {
  return objective.needs_input_hessian() || objective.kind == ObjectiveKind::kGuided ||
         (objective.needs_gradients() && schedule == ScheduleKind::kBlockWise);
}

}  // namespace

Calibration::Calibration(const Model& model, const at::Tensor& ids, const Execution& execution,
                         CalibrationOptions options, Progress& progress)
    : model_(model),
      execution_(execution),
      options_(std::move(options)),
      progress_(progress),
      sequences_(ids),
      stream_(model, sequences_, embedded(model, sequences_, execution, options_.storage),
              execution, options_.two_streams) {
  sequences_.hold_out(options_.held_out);
  const ScheduleKind schedule = options_.model.schedule;
  bool gradients = false;
  for (const LinearSlot& linear : model.linears()) {
    const ObjectiveOptions objective = options_.objective(linear);
    streams_ = streams_ || needs_prefix(objective, schedule);
    const double first_token = options_.model.first_token;
    if (objective.needs_input_hessian() && first_token != 1 && !input_weights_.values.defined())
      input_weights_ = first_token_weights(sequences_, first_token, execution.device);
    gradients = gradients || objective.needs_gradients();
    drift_ = drift_ || (options_.two_streams && schedule == ScheduleKind::kBlockWise &&
                        objective.kind == ObjectiveKind::kOac);
  }
  if (!gradients) return;
  block_wise_ = schedule == ScheduleKind::kBlockWise;
  store_.emplace(options_.memory_limit, options_.spill_folder);
  backward_.emplace(model, sequences_, execution, stream_.positions(), *store_);
  gradients_.emplace(model, options_.objective, sequences_, execution.device, *store_);
  if (block_wise_) return;
  const int64_t layers = model.config().layers;
  progress.begin("gradients", 2 * layers);
  int64_t done = 0;
  go_back(0, layers,
          [&](int64_t block) { progress.update(++done, fmt::format("block {}", block)); });
  progress.end();
}

void Calibration::go_back(int64_t first, int64_t end, const std::function<void(int64_t)>& passed) {
  backward_->run(stream_.activations(), first, end,
                 {.labels = options_.model.labels,
                  .seed = options_.seed + static_cast<uint64_t>(first),
                  .original = drift_ ? &stream_.original_activations() : nullptr,
                  .passed = passed},
                 *gradients_);
}

Block Calibration::enter(int64_t index) {
  return_free_memory();  // what the solver of the last block has freed is in many pieces
  const auto linears = static_cast<int64_t>(model_.linears_of_block(index).size());
  const auto passed = [&](int64_t block) {
    progress_.update(index * linears, fmt::format("gradients, block {}", block));
  };
  if (block_wise_) go_back(index, index + 1, passed);
  return model_.load_block(index, execution_, stream_.positions());
}

StageStatistics Calibration::sum_inputs(const Block& block, const Block& original, int stage) {
  const std::span<const LinearSlot> linears = model_.linears_of_stage(block.index, stage);
  StageStatistics statistics;
  for (const LinearSlot& linear : linears)
    statistics.inputs.resize(std::max(statistics.inputs.size(), linear.input + 1));
  std::vector<StageSum> asked;
  std::vector<LinearStatistics*> answers;  // to each
  for (size_t input = 0; input < statistics.inputs.size(); ++input) {
    const bool needed = std::ranges::any_of(linears, [&](const LinearSlot& linear) {
      return linear.input == input && options_.objective(linear).needs_input_hessian();
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
  if (!streams_) return statistics;
  std::vector<LinearStatistics> sums = stream_.measure(block, original, stage, asked);
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

StageStatistics Calibration::measure(const Block& block, const Block& original, int stage) {
  StageStatistics statistics = sum_inputs(block, original, stage);
  std::vector<bool> shared(statistics.inputs.size());
  for (const LinearSlot& linear : model_.linears_of_stage(block.index, stage)) {
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
  return statistics;
}

void Calibration::leave(const Block& block, const Block& original) {
  if (streams_) stream_.leave(block, original);
}

void Calibration::pass(int64_t index, const std::function<void(Block&)>& replace) {
  if (gradients_) gradients_->forget(index);
  if (!streams_) return;
  return_free_memory();
  const Block original = model_.load_block(index, execution_, stream_.positions());
  Block block = original;
  replace(block);
  for (int stage = 0; stage < model_.family().stages; ++stage)
    stream_.measure(block, original, stage, {});
  stream_.leave(block, original);
}

}  // namespace halftone
