#include "pipeline/sample_linear.h"

#include <ATen/ATen.h>

#include "quantize/linear_solver.h"

namespace halftone {

LinearOutcome solve_sample(LinearRecipe recipe, int64_t rows, int64_t columns, int threads) {
  const auto random = at::detail::createCPUGenerator(0);
  const at::Tensor weight = at::randn({rows, columns}, random, at::kFloat);
  recipe.target = {};
  LinearStatistics statistics;
  if (recipe.objective.kind != ObjectiveKind::kNone) {
    recipe.objective = {.kind = ObjectiveKind::kInput, .damping = recipe.objective.damping};
    statistics = {.hessian = at::eye(columns, at::kFloat), .tokens = columns};
  }
  return LinearSolver(statistics, recipe, threads).quantize(weight);
}

}  // namespace halftone
