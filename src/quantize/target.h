// What the sweep aims at when the layer's input has drifted from the full-precision model's
// (METHODS 3): GPTAQ's matrix P (Li et al. 2025, arXiv 2504.02692) and QEP's shift of the weights
// (Arai & Ichikawa 2025, arXiv 2504.09629).
//
// Both live in sweep order, for the normalized Hessian s H that the factor is of
// (quantize/factor.h): (H + damping I)^-1 = s U^T U.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "quantize/factor.h"

namespace halftone {

// D with rows and columns in sweep order, times s.   cross_moment: (in, in) -> (in, in), type
at::Tensor ordered_cross_moment(const at::Tensor& cross_moment, const HessianDiagonal& diagonal,
                                std::span<const int64_t> columns, at::ScalarType type);

// P = striu(D U^T) U, strictly upper: row j is the optimal correction of the columns after j for
// one unit of drift in j.   moment: (in, in) from ordered_cross_moment; upper: (in, in)
at::Tensor drift_matrix(const at::Tensor& moment, const at::Tensor& upper);

// W D (H + damping I)^-1: W plus this is the minimizer of |W' X^T - W Xf^T|^2 + damping |W' - W|^2.
// weight: (out, in) in file order; moment, upper: in sweep order -> (out, in) in file order
at::Tensor weight_shift(const at::Tensor& weight, const at::Tensor& moment, const at::Tensor& upper,
                        std::span<const int64_t> columns);

}  // namespace halftone
