#include "pipeline/stage_solvers.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

std::shared_ptr<const SharedInputs> StageSolvers::inputs_of(const LinearStatistics& statistics,
                                                            const InputOptions& options) {
  for (const auto& known : inputs_)
    if (known->options() == options && known->hessian().is_same(statistics.hessian)) return known;
  inputs_.push_back(std::make_shared<const SharedInputs>(statistics, options, threads_));
  return inputs_.back();
}

LinearOutcome StageSolvers::quantize(const LinearSlot& linear, const LinearRecipe& recipe,
                                     const at::Tensor& weight) {
  const LinearStatistics& statistics = statistics_.of(linear);
  LinearOutcome outcome = with_context(linear.name, [&] {
    const LinearSolver solver(inputs_of(statistics, input_options(recipe)), recipe);
    return solver.quantize(weight, statistics.row_energies);
  });
  if (!statistics.fallback.empty())
    outcome.fallback =
        statistics.fallback + (outcome.fallback.empty() ? "" : "; ") + outcome.fallback;
  return outcome;
}

}  // namespace halftone
