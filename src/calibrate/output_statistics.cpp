#include "calibrate/output_statistics.h"

#include <ATen/ATen.h>

namespace halftone {

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
    Sum sum;
    switch (objective_(slot).kind) {
      case ObjectiveKind::kOutput:
        sum.hessian.emplace(slot.out, slot.in, device_);
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
    if (sum.hessian) sum.hessian->add(linear.input, linear.delta);
    if (sum.diagonal) sum.diagonal->add(linear.input, linear.delta);
    if (sum.weights.defined())
      sum.weights.narrow(0, first, linear.delta.size(0)).copy_(token_weights(linear.delta));
  }
}

void OutputStatistics::leave(const Block& block) {
  for (const LinearSlot& slot : model_.linears_of_block(block.index)) {
    const auto found = sums_.find(slot.relative);
    if (found == sums_.end()) continue;
    Sum& sum = found->second;
    LinearStatistics statistics;
    if (sum.hessian) statistics = sum.hessian->finish(kLossScale);
    if (sum.diagonal) statistics = sum.diagonal->finish(kLossScale);
    const at::Tensor large =
        sum.weights.defined() ? sum.weights.div_(kLossScale * kLossScale) : statistics.hessian;
    keep(slot.name, statistics, large);
  }
  sums_.clear();
}

void OutputStatistics::keep(const std::string& name, LinearStatistics statistics,
                            const at::Tensor& large) {
  statistics.hessian = at::Tensor();
  kept_[name] = {std::move(statistics), store_.put(large)};
}

LinearStatistics OutputStatistics::take_hessian(const LinearSlot& linear) {
  auto node = kept_.extract(linear.name);
  LinearStatistics statistics = std::move(node.mapped().statistics);
  statistics.hessian = store_.take(node.mapped().handle);
  return statistics;
}

at::Tensor OutputStatistics::take_token_weights(const LinearSlot& linear) {
  return store_.take(kept_.extract(linear.name).mapped().handle);
}

}  // namespace halftone
