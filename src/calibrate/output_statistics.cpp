#include "calibrate/output_statistics.h"

#include <ATen/ATen.h>

#include <utility>

namespace halftone {
namespace {

constexpr int64_t kHeldOutEvery = 5;  // sequences

}  // namespace

at::Tensor token_weights(const at::Tensor& delta) {
  return delta.to(at::kFloat).square().mean({-1});
}

OutputStatistics::OutputStatistics(const Model& model, ObjectiveOf objective, const at::Tensor& ids,
                                   at::Device device, TensorStore& store)
    : model_(model),
      objective_(std::move(objective)),
      sequences_(ids.size(0)),
      length_(ids.size(1)),
      device_(device),
      store_(store) {}

void OutputStatistics::enter(const Block& block) {
  for (const LinearSlot& slot : model_.linears_of_block(block.index)) {
    const ObjectiveOptions objective = objective_(slot);
    Sum sum;
    switch (objective.kind) {
      case ObjectiveKind::kOutput:
        sum.hessian.emplace(slot.out, slot.in, device_);
        if (objective.gate > 0) sum.held_out.emplace(slot.out, slot.in, device_);
        break;
      case ObjectiveKind::kDiagonal:
        sum.diagonal.emplace(slot.out, slot.in, device_);
        break;
      case ObjectiveKind::kTokenWeighted:
        sum.weights = at::zeros({sequences_, length_}, at::device(device_).dtype(at::kFloat));
        break;
      default:
        continue;
    }
    sums_.emplace(slot.relative, std::move(sum));
  }
}

void OutputStatistics::add(const std::vector<LinearGradient>& linears, int64_t first) {
  for (const LinearGradient& linear : linears) {
    const auto found = sums_.find(linear.relative);
    if (found == sums_.end()) continue;
    Sum& sum = found->second;
    const int64_t batch = linear.delta.size(0);
    if (sum.hessian) sum.hessian->add(linear.input, linear.delta);
    if (sum.diagonal) sum.diagonal->add(linear.input, linear.delta);
    if (sum.weights.defined())
      sum.weights.narrow(0, first, batch).copy_(token_weights(linear.delta));
    for (int64_t i = 0; sum.held_out && i < batch; ++i)
      if ((first + i) % kHeldOutEvery == kHeldOutEvery - 1)
        sum.held_out->add(linear.input.narrow(0, i, 1), linear.delta.narrow(0, i, 1));
  }
}

void OutputStatistics::leave(const Block& block) {
  for (const LinearSlot& slot : model_.linears_of_block(block.index))
    if (const auto found = sums_.find(slot.relative); found != sums_.end())
      kept_[slot.name] = keep(found->second);
  sums_.clear();
}

OutputStatistics::Kept OutputStatistics::keep(Sum& sum) {
  Kept kept;
  if (sum.hessian) kept.statistics = sum.hessian->finish(kLossScale);
  if (sum.diagonal) kept.statistics = sum.diagonal->finish(kLossScale);
  const at::Tensor large = sum.weights.defined() ? sum.weights.div_(kLossScale * kLossScale)
                                                 : std::move(kept.statistics.hessian);
  kept.handle = store_.put(large);
  if (sum.held_out) kept.held_out = store_.put(sum.held_out->finish(kLossScale).hessian);
  return kept;
}

LinearStatistics OutputStatistics::take_hessian(const LinearSlot& linear) {
  auto node = kept_.extract(linear.name);
  LinearStatistics statistics = std::move(node.mapped().statistics);
  statistics.hessian = store_.take(node.mapped().handle);
  return statistics;
}

at::Tensor OutputStatistics::take_held_out(const LinearSlot& linear) {
  return store_.take(std::exchange(kept_.at(linear.name).held_out, -1));
}

at::Tensor OutputStatistics::take_token_weights(const LinearSlot& linear) {
  return store_.take(kept_.extract(linear.name).mapped().handle);
}

}  // namespace halftone
