#include "calibrate/calibration.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "base/memory.h"
#include "calibrate/blend.h"
#include "calibrate/fisher_gate.h"

namespace halftone {
namespace {

bool has_gate(const ObjectiveOptions& objective) {
  return objective.kind == ObjectiveKind::kOac && objective.gate > 0;
}

// Whether anything about a linear is taken behind the quantized prefix.
bool needs_prefix(const ObjectiveOptions& objective, ScheduleKind schedule) {
  return objective.needs_input_hessian() || objective.kind == ObjectiveKind::kGuided ||
         (objective.needs_gradients() && schedule == ScheduleKind::kBlockWise);
}

// ids: (sequences, length) -> (sequences, length) float32
at::Tensor first_token_weights(const at::Tensor& ids, double first_token,
                               const at::Device& device) {
  at::Tensor weights = at::ones(ids.sizes(), at::device(device).dtype(at::kFloat));
  weights.select(1, 0).fill_(first_token);
  return weights;
}

// One run of rows each -> all of the linear's, matrices (groups, in, in); takes the parts' memory.
LinearStatistics stacked(std::vector<LinearStatistics> parts) {
  if (parts.size() == 1) return parts.front();
  LinearStatistics all = parts.front();
  const auto groups = static_cast<int64_t>(parts.size());
  const auto stack = [&](at::Tensor LinearStatistics::*matrix) {
    if (!(all.*matrix).defined()) return;
    const int64_t in = (all.*matrix).size(0);
    all.*matrix = at::empty({groups, in, in}, (all.*matrix).options());
    for (int64_t group = 0; group < groups; ++group)
      (all.*matrix)[group].copy_(std::exchange(parts[group].*matrix, {}));
  };
  stack(&LinearStatistics::hessian);
  stack(&LinearStatistics::cross_moment);
  return all;
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
    if (objective.needs_input_hessian() && first_token != 1 && !input_weights_.defined())
      input_weights_ = first_token_weights(ids, first_token, execution.device);
    gradients = gradients || objective.needs_gradients();
    drift_ = drift_ || (options_.two_streams && schedule == ScheduleKind::kBlockWise &&
                        objective.kind == ObjectiveKind::kOac);
  }
  if (!gradients) return;
  block_wise_ = schedule == ScheduleKind::kBlockWise;
  store_.emplace(options_.memory_limit, options_.spill_folder);
  backward_.emplace(model, sequences_, execution, stream_.positions(), *store_);
  output_.emplace(model, options_.objective, ids, execution.device, *store_);
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
                 *output_);
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

StageStatistics Calibration::sum_inputs(const Block& block, const Block& original, int stage,
                                        std::span<const LinearSlot> linears) {
  std::vector<at::Tensor> weights;
  const auto has_objective = [&](auto&& property) {
    return std::any_of(linears.begin(), linears.end(),
                       [&](const LinearSlot& slot) { return property(options_.objective(slot)); });
  };
  std::vector<std::pair<std::string, std::ptrdiff_t>> entries;  // name, runs of rows
  if (has_objective([](const auto& objective) { return objective.needs_input_hessian(); })) {
    entries.emplace_back("", 1);
    weights.push_back(input_weights_);
  }
  for (const LinearSlot& linear : linears) {
    if (options_.objective(linear).kind != ObjectiveKind::kGuided) continue;
    const std::vector<at::Tensor> own = output_->take_token_weights(linear).unbind();
    weights.insert(weights.end(), own.begin(), own.end());
    entries.emplace_back(linear.name, own.size());
  }
  StageStatistics sums;
  if (!streams_) return sums;
  std::vector<LinearStatistics> measured = stream_.measure(block, original, stage, weights);
  auto next = measured.begin();
  for (const auto& [name, groups] : entries) {
    sums[name] = stacked({std::make_move_iterator(next), std::make_move_iterator(next + groups)});
    next += groups;
  }
  return sums;
}

LinearStatistics Calibration::weighted_statistics(const LinearSlot& linear, LinearStatistics sums) {
  const LinearStatistics gradients = output_->take(linear);
  sums.row_energies = gradients.row_energies;
  sums.skipped_sequences = std::max(sums.skipped_sequences, gradients.skipped_sequences);
  return sums;
}

LinearStatistics Calibration::output_statistics(const LinearSlot& linear,
                                                const ObjectiveOptions& objective,
                                                const LinearStatistics& input) {
  const at::Tensor held_out = has_gate(objective) ? output_->take_held_out(linear) : at::Tensor();
  LinearStatistics own = output_->take(linear);
  if (held_out.defined()) {
    own.gate_score = fisher_gate_score(own.hessian, held_out, input.hessian);
    if (own.gate_score < objective.gate) {
      own.hessian = input.hessian;
      own.cross_moment = input.cross_moment;
      own.fallback = fmt::format("input Hessian (the Fisher matrix scores {:.3g} times as high)",
                                 own.gate_score);
    }
  }
  return own;
}

StageStatistics Calibration::measure(const Block& block, const Block& original, int stage) {
  const std::span<const LinearSlot> linears = model_.linears_of_stage(block.index, stage);
  StageStatistics sums = sum_inputs(block, original, stage, linears), statistics;
  const LinearStatistics input = sums[""];  // none where no linear needs it
  for (const LinearSlot& linear : linears) {
    const ObjectiveOptions objective = options_.objective(linear);
    if (objective.kind == ObjectiveKind::kNone) continue;
    LinearStatistics& own = statistics[linear.name];
    if (objective.kind == ObjectiveKind::kInput)
      own = input;
    else if (objective.kind == ObjectiveKind::kGuided)
      own = weighted_statistics(linear, sums.at(linear.name));
    else
      own = output_statistics(linear, objective, input);
    if (objective.needs_gradients() && objective.blend > 0 && own.fallback.empty())
      blend(own, input, objective.blend);
    if (objective.kind == ObjectiveKind::kDiagonal) own.hessian = at::diag(own.hessian.diagonal());
  }
  return statistics;
}

void Calibration::leave(const Block& block, const Block& original) {
  if (streams_) stream_.leave(block, original);
}

void Calibration::pass(int64_t index, const std::function<void(Block&)>& replace) {
  if (output_) output_->forget(index);
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
