#include "calibrate/gradient_statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "calibrate/gradient_squares.h"
#include "calibrate/sums.h"
#include "recipe/held_out.h"

namespace halftone {
namespace {

std::vector<int64_t> runs_of(int64_t out, int64_t groups) {
  std::vector<int64_t> runs;
  for (int64_t group = 0; group <= groups; ++group)
    runs.push_back(first_row_of_group(out, groups, group));
  return runs;
}

}  // namespace

at::Tensor token_weights(const at::Tensor& delta, int64_t groups) {
  const at::Tensor ones = at::ones(delta.sizes().slice(0, 2), delta.options().dtype(at::kFloat));
  return gradient_squares(delta, ones, runs_of(delta.size(2), groups)).tokens;
}

GradientStatistics::GradientStatistics(const Model& model, ObjectiveOf objective,
                                       const at::Tensor& ids, at::Device device, TensorStore& store)
    : model_(model),
      objective_(std::move(objective)),
      sequences_(ids.size(0)),
      length_(ids.size(1)),
      device_(device),
      store_(store) {}

void GradientStatistics::enter(const Block& block) {
  for (const LinearSlot& slot : model_.linears_of_block(block.index)) {
    const ObjectiveOptions objective = objective_(slot);
    Sum sum;
    switch (objective.kind) {
      case ObjectiveKind::kOac:
        sum.hessian.emplace(slot.out, slot.in, device_);
        if (objective.gate > 0) sum.held_out.emplace(slot.out, slot.in, device_);
        break;
      case ObjectiveKind::kDiagonal:
        sum.diagonal.emplace(slot.out, slot.in, device_);
        break;
      case ObjectiveKind::kGuided:
        sum.weights = at::zeros({std::min(slot.out, objective.row_groups), sequences_, length_},
                                at::device(device_).dtype(at::kFloat));
        sum.row_energies = at::zeros({slot.out}, at::device(device_).dtype(at::kDouble));
        break;
      default:
        continue;
    }
    sums_.emplace(slot.relative, std::move(sum));
  }
}

void GradientStatistics::add(const std::vector<LinearGradient>& linears, int64_t first) {
  for (const LinearGradient& linear : linears) {
    const auto found = sums_.find(linear.relative);
    if (found == sums_.end()) continue;
    Sum& sum = found->second;
    const int64_t batch = linear.delta.size(0);
    if (sum.hessian) sum.hessian->add(linear.input, linear.delta, linear.original);
    if (sum.diagonal) sum.diagonal->add(linear.input, linear.delta);
    if (sum.weights.defined()) weigh(linear, first, sum);
    for (int64_t i = 0; sum.held_out && i < batch; ++i)
      if (is_held_out_for_gate(first + i))
        sum.held_out->add(linear.input.narrow(0, i, 1), linear.delta.narrow(0, i, 1));
  }
}

void GradientStatistics::weigh(const LinearGradient& linear, int64_t first, Sum& sum) {
  // an output's energy is the trace of x^T delta_j^2 x, summed over tokens
  const GradientSquares squares =
      gradient_squares(linear.delta, squared_lengths(linear.input),
                       runs_of(linear.delta.size(2), sum.weights.size(0)));
  sum.weights.narrow(1, first, linear.delta.size(0)).copy_(squares.tokens);
  sum.row_energies += squares.outputs;
}

void GradientStatistics::leave(const Block& block, int64_t left_out) {
  for (const LinearSlot& slot : model_.linears_of_block(block.index)) {
    const auto found = sums_.find(slot.relative);
    if (found == sums_.end()) continue;
    Kept& kept = kept_[slot.name] = keep(found->second);
    kept.statistics.skipped_sequences = left_out;
  }
  sums_.clear();
}

GradientStatistics::Kept GradientStatistics::keep(Sum& sum) {
  Kept kept;
  if (sum.hessian) kept.statistics = sum.hessian->finish(kLossScale);
  if (sum.diagonal) kept.statistics = sum.diagonal->finish(kLossScale);
  if (sum.weights.defined()) {
    kept.statistics.hessian = sum.weights.div_(kLossScale * kLossScale);
    kept.statistics.row_energies = total(sum.row_energies) / (kLossScale * kLossScale);
  }
  kept.handle = store_.put(std::exchange(kept.statistics.hessian, {}));
  if (kept.statistics.cross_moment.defined())
    kept.moment = store_.put(std::exchange(kept.statistics.cross_moment, {}));
  if (sum.held_out) kept.held_out = store_.put(sum.held_out->finish(kLossScale).hessian);
  return kept;
}

LinearStatistics GradientStatistics::take(const LinearSlot& linear) {
  const Kept kept = std::move(kept_.extract(linear.name).mapped());
  LinearStatistics statistics = kept.statistics;
  if (kept.handle >= 0) statistics.hessian = store_.take(kept.handle);
  if (kept.moment >= 0) statistics.cross_moment = store_.take(kept.moment);
  return statistics;
}

void GradientStatistics::forget(int64_t block) {
  for (const LinearSlot& slot : model_.linears_of_block(block)) {
    const auto found = kept_.find(slot.name);
    if (found == kept_.end()) continue;
    if (found->second.held_out >= 0) take_held_out(slot);
    take(slot);
  }
}

at::Tensor GradientStatistics::take_held_out(const LinearSlot& linear) {
  return store_.take(std::exchange(kept_.at(linear.name).held_out, -1));
}

at::Tensor GradientStatistics::take_token_weights(const LinearSlot& linear) {
  return store_.take(std::exchange(kept_.at(linear.name).handle, -1));
}

}  // namespace halftone
