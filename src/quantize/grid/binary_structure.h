// Which columns of a block get two signs, and where the others are cut into a bulk and a tail
// (methods.md 4.4): Huang et al. 2024 (BiLLM, arXiv 2402.04291).
//
// The published code searches both on the metric w^2 / c^2, one after the other, by its plain mean
// square error: search_on_metric. Ours searches on the weights by the loss that the sweep adds up,
// sum (w - q)^2 / c^2, and takes the published code's answer where that loses less:
// search_on_weights. Either is bounded: at most 49 counts of columns, then 81 break points.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/lane_kernels.h"

namespace halftone {

// One lazy block as it is when the sweep reaches it.
template <class T>
struct BinaryBlock {
  const T* weights;               // (columns, rows)
  int64_t columns, rows, out;     // rows: a multiple of 16; those from `out` on are padding, zeros
  std::span<const T> importance;  // (columns) 1 / c^2; 0: a dead column, of zeros
  int threads;
};

template <class T>
struct BinaryStructure {
  std::vector<uint8_t> salient;  // (columns) 1: two signs
  T break_point = 0;             // the bulk lies below
  bool on_metric = false;        // the break point is one of w^2 / c^2 rather than of |w|

  bool in_tail(T weight, T importance) const {
    return (on_metric ? weight * weight * importance : std::abs(weight)) >= break_point;
  }
};

template <class T>
BinaryStructure<T> search_on_metric(const BinaryBlock<T>& block, const BinaryKernels<T>& kernels);
template <class T>
BinaryStructure<T> search_on_weights(const BinaryBlock<T>& block, const BinaryKernels<T>& kernels);

// The four binarizations of every row: bulk, tail, salient columns, what remains of these.
template <class T>
struct BinaryFit {
  std::vector<T> means, scales;  // (4, rows)
  double loss = 0;               // sum of importance * (w - q)^2, numbers not yet rounded
};

// weights_in_means: (columns), 0 where a column takes no part
template <class T>
BinaryFit<T> fit_structure(const BinaryBlock<T>& block, const BinaryStructure<T>& structure,
                           std::span<const T> weights_in_means, const BinaryKernels<T>& kernels);

}  // namespace halftone
