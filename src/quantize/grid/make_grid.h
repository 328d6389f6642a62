// The list of grids: from a recipe's options to the object that the sweep asks.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "kernels/lane_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/order.h"
#include "quantize/outliers/outlier_mask.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// What a grid may know of the linear it is made for; valid only while it is made.
template <class T>
struct GridContext {
  const Grouping& grouping;
  int64_t out;          // rows of the weight
  int64_t rows;         // a multiple of 16, at least `out`; those beyond are padding and hold zeros
  at::Tensor original;  // (in, rows) T in sweep layout: what the result should be like
  std::vector<T> pivots;         // (in) by position: c_j, the factor's diagonal; 1 without a factor
  std::vector<int64_t> dead;     // the file's columns that no input ever reached, ascending
  double outlier_threshold = 0;  // of the squared error in units of c_j; 0: by the recipe
  // (out) what a squared error counts against that threshold, about 1; empty: 1
  std::span<const double> row_weights = {};
  const LaneKernels<T>& kernels;
  const OutlierMask* outliers = nullptr;  // decided before the sweep; null: none have been
  int threads = 1;                        // for what a grid does at the start of a block
};

// True if the grid that a compensated sweep uses differs from that of rounding to nearest by more
// than what it is fitted to: it looks at `pivots`, or keeps outliers.
bool grid_needs_pivots(const LinearRecipe& recipe);

template <class T>
std::unique_ptr<Grid<T>> make_grid(const LinearRecipe& recipe, const GridContext<T>& context);

// The threshold of each row (rows): `threshold` over what the row's errors count. A row that counts
// nothing has no outliers.
template <class T>
std::vector<T> row_thresholds(double threshold, const GridContext<T>& context);

}  // namespace halftone
