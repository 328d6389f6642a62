// Rows of one linear, start to end: sweep, check, and the steps of methods.md 7.6 when the numbers
// refuse.
//
// Left out of the ladder: step 3 (a Fisher matrix is a sum of squares, damping always factors it;
// blends are asked for in the recipe) and the held-out loss of step 6 (calibration keeps held-out
// tokens for target.auto only; the distance to round-to-nearest is checked).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/linear_statistics.h"
#include "quantize/factor.h"
#include "quantize/outliers/outlier_mask.h"
#include "quantize/quantize_linear.h"
#include "quantize/target.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// What all linears that share an input have in common; never written to once it is made, but for
// what `shift` keeps.
struct SharedInput {
  LinearRecipe recipe;
  int threads = 1;
  at::Tensor hessian;  // (in, in) as calibrated, undamped; undefined: no objective
  double tokens = 1;
  HessianDiagonal diagonal;
  std::vector<int64_t> columns;  // (in) the file's column at each sweep position
  DampedFactor factor;           // none where the ladder found none
  at::Tensor moment;             // (in, in) D in sweep order, normalized; undefined: without P
  at::Tensor drift;              // (in, in) P of `factor`; undefined without alpha, alpha2
  std::optional<HeldOutInputs> held_out;     // with target.auto
  std::shared_ptr<const WeightShift> shift;  // by `factor`; null without preshift or auto

  // P for a factor; undefined where the recipe asks for none.
  at::Tensor drift_for(const DampedFactor& factor) const;
};

// Rows as the sweep is to see them.
struct Rows {
  at::Tensor weight;                         // (rows, in) T, from aimed_weight
  std::optional<OutlierMask> outliers = {};  // decided before the sweep
  std::vector<double> outlier_weights =
      {};  // (rows) what an error counts for an outlier rule; empty: 1
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

// What the sweep is to come near: shifted against the drift where the recipe says so, dead columns
// 0.   weight: (rows, in) T, contiguous, finite; shift: (rows, in) its WeightShift, where the
// caller has it already -> (rows, in)
at::Tensor aimed_weight(const SharedInput& shared, const at::Tensor& weight,
                        const at::Tensor& shift = {});

// T = double computes everything in float64.
template <class T>
SolvedRows solve_rows(const SharedInput& shared, const Rows& rows);

}  // namespace halftone
