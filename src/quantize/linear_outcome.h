// What solving one linear gives, beside its codes: how well it went and what had to be done.
#pragma once

#include <string>
#include <vector>

#include "quantize/quantized_linear.h"

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
  double energy = 0;             // what that is a share of
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

// Adds a step to those of a fallback, "; " between.
inline void append_step(std::string& steps, const std::string& step) {
  if (!steps.empty() && !step.empty()) steps += "; ";
  steps += step;
}

}  // namespace halftone
