// What calibration hands to quantization: a plain struct of tensors, all of one linear's (or of
// several linears that share an input).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace halftone {

// The inputs that were kept out of everything else, to choose by (target.auto). X, Xf: as below;
// (in, in) float32 each.
struct HeldOutInputs {
  at::Tensor hessian = {};       // X^T X
  at::Tensor cross_moment = {};  // (Xf - X)^T X
  at::Tensor drift = {};         // (Xf - X)^T (Xf - X)
};

struct LinearStatistics {
  // (in, in) float32 or float64: X^T X over all tokens, or what another objective puts in its place
  // (methods.md 2); undefined: no objective. Linears share a factorization where they share this
  // tensor. Or (groups, in, in): one for each run of rows (first_row_of_group in
  // recipe/linear_recipe.h).
  at::Tensor hessian = {};
  int64_t tokens = 0;  // rows of X that were summed
  // (in, in) float32 or float64, D = (Xf - X)^T X, Xf the input in the full-precision model; row =
  // drifting feature; undefined: one stream. Weighted as the Hessian is, and of its shape.
  at::Tensor cross_moment = {};
  // (out) float64: the trace of each row's own Hessian, for output Hessians the sum over sequences
  // of |row of the gradient|^2; undefined without gradients
  at::Tensor row_energies = {};
  // score of the Fisher matrix on held-out sequences over that of X^T X (methods.md 2.6); 0: not
  // taken
  double gate_score = 0;
  std::string fallback = {};      // empty, or why this is not the objective that was asked for
  int64_t skipped_sequences = 0;  // left out for numbers that are not finite
  std::optional<HeldOutInputs> held_out = {};  // where sequences were held out
};

}  // namespace halftone
