// One weight + statistics -> QuantizedLinear, by the one sweep (methods.md 7.1), in four steps:
//
//   LinearSolver   checks the weight, chooses between the recipe's target and target.auto
//   solve_linear   runs of rows with a Hessian each, joined
//   solve_rows     the ladder: sweep, check, more damping, without compensation
//   sweep          columns in order, errors passed on
//
// What linears of one input share (SharedInputs) is made before the first of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "calibrate/linear_statistics.h"
#include "quantize/linear_outcome.h"
#include "quantize/shared_input.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// Quantizes every linear that shares an input (q, k, v; gate, up). Nothing is damped in place, so
// the order of the linears does not matter (methods.md 11, identity 18). Not for several threads at
// once: it brings its own, and keeps what later weights can use (WeightShift).
class LinearSolver {
 public:
  // inputs: prepared by the recipe's input_options. recipe: one that recipe/rules.h lets pass; its
  // grid and outliers may be any.
  LinearSolver(std::shared_ptr<const SharedInputs> inputs, const LinearRecipe& recipe);
  // For linears of one recipe alone. Errors: statistics that are not what it asks for. Numbers that
  // refuse (methods.md 7.6) are not errors: see `fallback`.
  LinearSolver(const LinearStatistics& statistics, const LinearRecipe& recipe, int threads);

  // weight: (out, in), any floating dtype; row_energies: (out) float64, for outliers ranked by them
  // (without: ranked alike, and `fallback` says so). Errors: NaN or infinite weights, a shape that
  // is not the Hessian's.
  LinearOutcome quantize(const at::Tensor& weight, const at::Tensor& row_energies = {}) const;

 private:
  std::shared_ptr<const SharedInputs> inputs_;
  LinearRecipe recipe_;
};

}  // namespace halftone
