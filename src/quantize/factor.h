// From a Hessian to the matrix that drives the sweep (methods.md 2.5, 2.6, 7.2): U upper triangular
// with U^T U = (H + damping I)^-1, by one Cholesky factorization of the reversed matrix and one
// triangular inverse.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "recipe/linear_recipe.h"

namespace halftone {

// What damping and order need to know of a Hessian. A column is dead when its diagonal is 0: no
// input ever reached it.
struct HessianDiagonal {
  std::vector<double> values;  // (in)
  std::vector<int64_t> dead;   // columns
  double reference = 0;        // mean or median over live columns, summed in a fixed order
  bool usable = false;         // all finite, none negative, at least one live

  // 2^-k with k even or odd such that reference times this lies in [1/2, 1): H -> 2^k H changes no
  // bit downstream.
  double normalizer() const;
};

// hessian: (in, in) float32 or float64
HessianDiagonal diagonal_of(const at::Tensor& hessian, DampingReference reference);

struct Factor {
  at::Tensor upper;  // (in, in) U of the normalized, permuted, damped Hessian; undefined: failed
  int64_t failing_pivot = -1;  // sweep position whose pivot was not positive
};

// Dead columns: off-diagonals 0, diagonal = reference + damping.
// hessian: (in, in); columns: (in) sweep order; share: damping = share * reference; type: what to
// compute in
[[nodiscard]] Factor factor_inverse(const at::Tensor& hessian, const HessianDiagonal& diagonal,
                                    std::span<const int64_t> columns, double share,
                                    at::ScalarType type);

// A factor found by raising the damping (methods.md 7.6, step 2).
struct DampedFactor {
  at::Tensor upper;   // (in, in), as stored for the sweep; undefined: none was found up to 10 times
                      // the reference
  double share = 0;   // that was needed
  std::string steps;  // what had to be tried, "; " between
};

// Starts at `share`; float32 where that is the Hessian's type and it is large, float64 from the
// first failure on.
[[nodiscard]] DampedFactor factor_with_ladder(const at::Tensor& hessian,
                                              const HessianDiagonal& diagonal,
                                              std::span<const int64_t> columns, double share);

}  // namespace halftone
