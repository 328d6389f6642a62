// Rows of one linear, start to end: sweep, check, and the ladder of methods.md 7.6 when the numbers
// refuse.
//
// Left out of the ladder: step 3 (a Fisher matrix is a sum of squares, damping always factors it;
// blends are asked for in the recipe) and the held-out loss of step 6 (calibration keeps held-out
// tokens for target.auto only; the distance to round-to-nearest is checked).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "quantize/grid/grid_choice.h"
#include "quantize/quantized_linear.h"
#include "quantize/shared_input.h"

namespace halftone {

// Rows as the sweep is to see them.
struct Rows {
  at::Tensor weight;  // (rows, in) T, from target_weight

  // (rows) what an error counts for an outlier rule; empty: 1
  std::vector<double> outlier_weights = {};
};

// Their result, and sums that add up over the rows of a linear.
struct SolvedRows {
  QuantizedLinear quantized;
  double loss = 0;               // tr((W - What)(H + damping I)(W - What)^T)
  double error = 0, energy = 0;  // tr((W - What) H (W - What)^T), tr(W H W^T)
  // The first on a sample of rows, and what the same weights cost there when each is rounded to the
  // nearest value of the same grid, in the same groups, beside the same outliers; 0: not taken.
  double sampled_error = 0, nearest_error = 0;
  double damping = 0;  // as in LinearOutcome
  std::string fallback;
};

// What the sweep is to come near: shifted against the drift by that share of it, dead columns 0.
// weight: (rows, in) T, contiguous, finite; shift: (rows, in) its WeightShift, where the caller has
// it already  -> (rows, in)
at::Tensor target_weight(const SharedInput& shared, double preshift, const at::Tensor& weight,
                         const at::Tensor& shift = {});

// target: that of the input, or one of those that its target.auto tries. T = double computes
// everything in float64.
template <class T>
SolvedRows solve_rows(const SharedInput& shared, const Rows& rows, const GridChoice& choice,
                      const TargetOptions& target);

}  // namespace halftone
