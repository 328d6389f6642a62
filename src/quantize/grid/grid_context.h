// What a grid, or an outlier rule, may know of the linear it is made for.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/lane_kernels.h"
#include "quantize/order.h"

namespace halftone {

// Valid only while the grid is made.
template <class T>
struct GridContext {
  const Grouping& grouping;
  int64_t out;          // rows of the weight
  int64_t rows;         // a multiple of 16, at least `out`; those beyond are padding and hold zeros
  at::Tensor original;  // (in, rows) T in sweep layout: what the result should be like
  std::vector<T> pivots;      // (in) by position: c_j, the factor's diagonal; 1 without a factor
  std::vector<int64_t> dead;  // the file's columns that no input ever reached, ascending

  // (out) what a squared error counts for an outlier rule, about 1; empty: 1
  std::span<const double> row_weights = {};
  const LaneKernels<T>& kernels;
  int threads = 1;  // for what a grid does at the start of a block
};

}  // namespace halftone
