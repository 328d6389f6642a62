// Orthogonal matrices that are fast to multiply by: Kronecker products of small factors.
//
// A Hadamard matrix of order K 2^p is Had_K (x) Had_2 (x) ... (x) Had_2; merging the small factors
// into blocks of up to 64 turns the fast Walsh-Hadamard transform into a few thin matrix products,
// which the library runs at full rate.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace halftone {

// factors[0] (x) factors[1] (x) ..., each (k, k) float64 and orthogonal.
struct KroneckerMatrix {
  std::vector<at::Tensor> factors;

  int64_t order() const;
  at::Tensor dense() const;  // (order, order) float64
  KroneckerMatrix transposed() const;
};

// x M, along the last dimension.  x: (..., order), any floating dtype; computed in it.
at::Tensor multiply(const at::Tensor& x, const KroneckerMatrix& matrix);

// Orthonormal Hadamard matrix of order n: Sylvester for powers of two, Paley I and II for 12, 20,
// 28, 36, 44, 60, 76, 108, 140, 148, ... times powers of two (methods.md 8.4). Where none of these
// fits, the odd part is a random orthogonal matrix (drawn from `seed`), which is no longer flat:
// see `is_flat`.
KroneckerMatrix hadamard(int64_t n, uint64_t seed);

// Every entry has the same magnitude.
bool is_flat(const KroneckerMatrix& matrix);

// n random signs, +1 or -1.  -> (n) float64
at::Tensor random_signs(int64_t n, uint64_t seed);

// How an order is put together: "36 x 16 (Paley II)", for reports.
std::string describe_hadamard(int64_t n);

}  // namespace halftone
