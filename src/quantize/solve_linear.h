// One linear, its rows solved together or in runs with a Hessian each, one run after another
// (SharedInputs). What they share beside order and dead columns: outliers by magnitude, chosen
// among all weights. A threshold or rate of outliers by sensitivity holds in each run.
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/linear_outcome.h"
#include "quantize/shared_input.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// What is asked of one linear beside its input.
struct LinearTask {
  at::Tensor weight;  // (out, in) T, contiguous, finite
  const GridOptions& grid;
  const OutlierOptions& outliers;
  TargetOptions target;          // the recipe's, or one of those that target.auto tries
  at::Tensor row_energies = {};  // (out) float64, for outliers ranked by them
  at::Tensor shift = {};         // (out, in) the weight's WeightShift, where the caller has it
};

// All of an outcome but seconds and weight_divergence.
template <class T>
LinearOutcome solve_linear(const SharedInputs& inputs, const LinearTask& task);

}  // namespace halftone
