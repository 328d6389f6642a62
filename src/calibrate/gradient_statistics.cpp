#include "calibrate/gradient_statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "calibrate/gradient_squares.h"
#include "calibrate/sums.h"
#include "calibrate/token_rows.h"
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

GradientStatistics::GradientStatistics(const Model& model, ObjectiveOf objective,
                                       const Sequences& sequences, at::Device device,
                                       TensorStore& store)
    : model_(model),
      objective_(std::move(objective)),
      sequences_(sequences),
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
        sum.weights.values = at::zeros(
            {std::min(slot.out, objective.row_groups), sequences_.count(), sequences_.length()},
            at::device(device_).dtype(at::kFloat));
        sum.row_energies = at::zeros({slot.out}, at::device(device_).dtype(at::kDouble));
        break;
      default:
        continue;
    }
    sums_.emplace(slot.relative, std::move(sum));
  }
}

void GradientStatistics::add(const std::vector<LinearGradient>& linears, const Batch& batch) {
  for (const LinearGradient& of : linears) {
    const auto found = sums_.find(of.relative);
    if (found == sums_.end()) continue;
    Sum& sum = found->second;
    // an expert's tokens among all, so that each sequence has its own again: one linear at a time
    const TokenRows rows(of.rows, sequences_.length());
    const auto whole = [&](const at::Tensor& x) {
      return x.defined() ? rows.spread(x, batch.count) : x;
    };
    const LinearGradient linear{of.relative, whole(of.input), whole(of.delta), whole(of.original)};
    sum.tokens += of.input.numel() / of.input.size(-1);
    if (sum.hessian) sum.hessian->add(linear.input, linear.delta, linear.original);
    if (sum.diagonal) sum.diagonal->add(linear.input, linear.delta);
    if (sum.weights.values.defined()) weigh(linear, batch.first, sum);
    for (int64_t i = 0; sum.held_out && i < batch.count; ++i)
      if (is_held_out_for_gate(batch.first + i))
        sum.held_out->add(linear.input.narrow(0, i, 1), linear.delta.narrow(0, i, 1));
  }
}

void GradientStatistics::weigh(const LinearGradient& linear, int64_t first, Sum& sum) {
  // an output's energy is the trace of x^T delta_j^2 x, summed over tokens
  const GradientSquares squares =
      gradient_squares(linear.delta, squared_lengths(linear.input),
                       runs_of(linear.delta.size(2), sum.weights.runs()));
  sum.weights.values.narrow(1, first, linear.delta.size(0)).copy_(squares.tokens);
  sum.row_energies += squares.outputs;
}

void GradientStatistics::leave(const Block& block, int64_t left_out) {
  for (const LinearSlot& slot : model_.linears_of_block(block.index)) {
    const auto found = sums_.find(slot.relative);
    if (found == sums_.end()) continue;
    Waiting& waiting = waiting_[slot.name] = put_aside(found->second);
    waiting.statistics.skipped_sequences = left_out;
  }
  sums_.clear();
}

GradientStatistics::Waiting GradientStatistics::put_aside(Sum& sum) {
  constexpr double kSquared = kLossScale * kLossScale;
  Waiting waiting;
  LinearStatistics& own = waiting.statistics;
  if (sum.hessian) own = sum.hessian->finish(kLossScale);
  if (sum.diagonal) own = sum.diagonal->finish(kLossScale);
  own.tokens = total(sum.tokens);
  if (sum.weights.values.defined()) {
    own.row_energies = total(sum.row_energies) / kSquared;
    waiting.token_weights = store_.put(sum.weights.values.div_(kSquared));
  }
  if (own.hessian.defined()) waiting.hessian = store_.put(std::exchange(own.hessian, {}));
  if (own.cross_moment.defined())
    waiting.cross_moment = store_.put(std::exchange(own.cross_moment, {}));
  if (sum.held_out) waiting.held_out = store_.put(sum.held_out->finish(kLossScale).hessian);
  return waiting;
}

TokenWeights GradientStatistics::take_token_weights(const LinearSlot& linear) {
  return {store_.take(std::exchange(waiting_.at(linear.name).token_weights, -1))};
}

at::Tensor GradientStatistics::take_held_out(const LinearSlot& linear) {
  return store_.take(std::exchange(waiting_.at(linear.name).held_out, -1));
}

LinearStatistics GradientStatistics::take(const LinearSlot& linear) {
  const Waiting waiting = std::move(waiting_.extract(linear.name).mapped());
  LinearStatistics statistics = waiting.statistics;
  if (waiting.hessian >= 0) statistics.hessian = store_.take(waiting.hessian);
  if (waiting.cross_moment >= 0) statistics.cross_moment = store_.take(waiting.cross_moment);
  return statistics;
}

void GradientStatistics::forget(int64_t block) {
  for (const LinearSlot& slot : model_.linears_of_block(block)) {
    const auto found = waiting_.find(slot.name);
    if (found == waiting_.end()) continue;
    if (found->second.held_out >= 0) (void)take_held_out(slot);
    if (found->second.token_weights >= 0) (void)take_token_weights(slot);
    (void)take(slot);
  }
}

}  // namespace halftone
