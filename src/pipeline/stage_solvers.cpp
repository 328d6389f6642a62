#include "pipeline/stage_solvers.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

std::shared_ptr<const SharedInputs> StageSolvers::inputs_of(const std::string& linear,
                                                            const InputOptions& options) {
  const auto found = statistics_.find(linear);
  const LinearStatistics statistics =
      found == statistics_.end() ? LinearStatistics{} : found->second;
  for (const auto& known : inputs_)
    if (known->options() == options && known->hessian().is_same(statistics.hessian)) return known;
  inputs_.push_back(std::make_shared<const SharedInputs>(statistics, options, threads_));
  return inputs_.back();
}

LinearOutcome StageSolvers::quantize(const LinearSlot& linear, const LinearRecipe& recipe,
                                     const at::Tensor& weight) {
  const auto found = statistics_.find(linear.name);
  const at::Tensor row_energies =
      found == statistics_.end() ? at::Tensor() : found->second.row_energies;
  LinearOutcome outcome = with_context(linear.name, [&] {
    const LinearSolver solver(inputs_of(linear.name, input_options(recipe)), recipe);
    return solver.quantize(weight, row_energies);
  });
  if (found != statistics_.end() && !found->second.fallback.empty())
    outcome.fallback =
        found->second.fallback + (outcome.fallback.empty() ? "" : "; ") + outcome.fallback;
  return outcome;
}

void replace_weight(Block& block, const LinearSlot& linear, const at::Tensor& weights) {
  at::Tensor& weight = block.linears[linear.index].weight;
  weight = weights.to(weight.device(), weight.scalar_type());
}

}  // namespace halftone
