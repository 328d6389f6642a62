// One weight + statistics -> QuantizedLinear, by the one sweep (methods.md 7.1).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "calibrate/linear_statistics.h"
#include "quantize/quantized_linear.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// One target that target.auto has tried.
struct TargetTrial {
  std::string target;  // "preshift 0.5"
  double error = 0;    // held_out_error (auto_target.h)
};

struct LinearOutcome {
  QuantizedLinear quantized;
  double loss =
      0;  // tr((W - What)(H + damping I)(W - What)^T) / tokens; H = I without an objective
  double relative_error =
      0;  // |(W - What) X^T|^2 / |W X^T|^2, undamped; weights alone without an objective
  double weight_divergence = 0;  // KL between the weights' histograms (weight_distribution.h)
  // tr((W - What) H (W - What)^T) over that of rounding to nearest on the same grid, in the same
  // groups and beside the same outliers, on a sample of 32 rows; 0: not taken (no objective)
  double loss_ratio_to_rtn = 0;
  double damping = 0;    // share of the reference diagonal that the factorization needed
  std::string fallback;  // empty, or the steps of methods.md 7.6 that were taken, oldest first, and
                         // where weights were too small for their scales (scale_floor.h)
  std::string target;    // of target.auto: the trial that was kept; else empty
  std::vector<TargetTrial> trials;  // of target.auto, in the order tried
  double seconds = 0;
};

// Factors one Hessian, then quantizes every linear that shares it (q, k, v; gate, up). Nothing is
// damped in place, so the order of the linears does not matter (methods.md 11, identity 18). With
// one Hessian for each run of rows the runs are solved one after another, in one order of columns,
// that of the sum of their diagonals, and only one factor exists at a time. Not for several threads
// at once: it brings its own, and keeps what later weights can use (WeightShift).
class LinearSolver {
 public:
  // recipe: one that recipe/rules.h lets pass. Errors: statistics that are not what it asks for.
  // Numbers that refuse (methods.md 7.6) are not errors: see `fallback`.
  LinearSolver(const LinearStatistics& statistics, const LinearRecipe& recipe, int threads);
  ~LinearSolver();

  // weight: (out, in), any floating dtype; row_energies: (out) float64, for outliers ranked by them
  // (without: ranked alike, and `fallback` says so). Errors: NaN or infinite weights, a shape that
  // is not the Hessian's.
  LinearOutcome quantize(const at::Tensor& weight, const at::Tensor& row_energies = {}) const;

 private:
  struct Prepared;
  std::unique_ptr<const Prepared> prepared_;
};

}  // namespace halftone
