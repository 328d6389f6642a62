// target.auto: a linear is solved for several targets and the one kept whose output on calibration
// windows that no solve has seen is nearest to the full-precision model's (methods.md 3.6).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>

#include "quantize/solve_linear.h"

namespace halftone {

// Plain, preshift 0.25, 0.5, 1, alpha 0.25, 1, alpha = alpha2 = 0.25. Of equals the first is kept.
std::span<const TargetOptions> target_candidates();

// "plain", "preshift 0.5", "alpha 0.25, alpha2 0.25".
std::string describe(const TargetOptions& target);

// |W Xf^T - What X^T|^2 / |W Xf^T|^2 over the tokens held out: with E = W - What
//   tr(E H E^T) + 2 tr(E D^T W^T) + |W dX^T|^2,   |W Xf^T|^2 = tr(W (H + D + D^T + dX^T dX) W^T).
// weight, quantized: (out, in) of one floating dtype, in which the products are formed
double held_out_error(const at::Tensor& weight, const at::Tensor& quantized,
                      const HeldOutInputs& held_out);

// The best candidate's outcome, with all trials. Without a factor, when all are the same: plain.
// inputs: of one run, with held_out; the task's target is of no account but for its `fit`
template <class T>
LinearOutcome solve_best_target(const SharedInputs& inputs, const LinearTask& task);

}  // namespace halftone
