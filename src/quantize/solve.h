// One linear, start to end: sweep, check, and the ladder of METHODS 7.6 when the numbers refuse.
//
// Left out of the ladder: step 3 (a Fisher matrix is a sum of squares, damping always factors it;
// blends are asked for in the recipe) and the held-out loss of step 6 (calibration keeps held-out
// tokens for target.auto only; the distance to round-to-nearest is checked).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "calibrate/linear_statistics.h"
#include "quantize/factor.h"
#include "quantize/quantize_linear.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// What all linears that share an input have in common; never written to once it is made.
struct SharedInput {
  LinearRecipe recipe;
  int threads = 1;
  at::Tensor hessian;  // (in, in) as calibrated, undamped; undefined: no objective
  double tokens = 1;
  HessianDiagonal diagonal;
  std::vector<int64_t> columns;  // (in) the file's column at each sweep position
  DampedFactor factor;           // none where the ladder found none
  at::Tensor moment;             // (in, in) D in sweep order, normalized; undefined: one stream
  at::Tensor drift;              // (in, in) P of `factor`; undefined without alpha, alpha2
  std::optional<HeldOutInputs> held_out;  // with target.auto

  // Whether there is a drift to shift weights by.
  bool can_shift() const { return moment.defined() && factor.upper.defined(); }
  // weight_shift of this input.   weight: (out, in) -> (out, in)
  at::Tensor shift_of(const at::Tensor& weight) const;
  // P for a factor; undefined where the recipe asks for none.
  at::Tensor drift_for(const DampedFactor& factor) const;
};

// weight: (out, in) T, contiguous, finite; shift: (out, in) weight_shift of it, where the caller
// has it already.   T = double computes everything in float64.
template <class T>
LinearOutcome solve_linear(const SharedInput& shared, const at::Tensor& weight,
                           const at::Tensor& shift = {});

}  // namespace halftone
