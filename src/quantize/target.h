// What the sweep aims at when the layer's input has drifted from the full-precision model's
// (methods.md 3): GPTAQ's matrix P (Li et al. 2025, arXiv 2504.02692) and QEP's shift of the
// weights (Arai & Ichikawa 2025, arXiv 2504.09629).
//
// Both live in sweep order, for the normalized Hessian s H that the factor is of
// (quantize/factor.h): (H + damping I)^-1 = s U^T U.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "matrix/two_part_matrix.h"
#include "quantize/factor.h"

namespace halftone {

// D with rows and columns in sweep order, times s.   cross_moment: (in, in) -> (in, in), type
at::Tensor ordered_cross_moment(const at::Tensor& cross_moment, const HessianDiagonal& diagonal,
                                std::span<const int64_t> columns, at::ScalarType type);

// P = striu(D U^T) U, strictly upper: row j is the optimal correction of the columns after j for
// one unit of drift in j.   moment: (in, in) from ordered_cross_moment; upper: (in, in)
at::Tensor drift_matrix(const at::Tensor& moment, const at::Tensor& upper);

// W -> W D (H + damping I)^-1 for the weights of one input: W plus this is the minimizer of
// |W' X^T - W Xf^T|^2 + damping |W' - W|^2. Not for several threads at once: the first weight of at
// least as many rows as columns makes D (H + damping I)^-1, which is then no dearer than the
// products with the single weight, and which the others share.
class WeightShift {
 public:
  // moment, upper: (in, in) in sweep order, kept, not copied; columns: (in) sweep order
  WeightShift(at::Tensor moment, at::Tensor upper, std::span<const int64_t> columns);

  // weight: (out, in) in file order -> (out, in) in file order, of its type
  at::Tensor of(const at::Tensor& weight) const;

 private:
  // x D (H + damping I)^-1 of x in sweep order.   x: (rows, in), or undefined for the identity
  at::Tensor shifted(const at::Tensor& x, at::ScalarType type) const;

  at::Tensor moment_, upper_;
  std::vector<int64_t> columns_, positions_;  // (in) the file's column at each position, and back
  mutable std::optional<TwoPartMatrix> shared_;  // (in, in) D (H + damping I)^-1 in file order
};

}  // namespace halftone
