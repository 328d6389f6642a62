// The list of grids: from a recipe's options to the object that the sweep asks.
#pragma once

#include <memory>

#include "kernels/lane_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/order.h"
#include "quantize/outliers/outlier_mask.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// rows: a multiple of 16, at least `out`; the rows beyond `out` are padding and hold zeros.
// outliers: null where none have been decided on; a split grid cannot be without.
template <class T>
std::unique_ptr<Grid<T>> make_grid(const GridOptions& options, const Grouping& grouping,
                                   int64_t out, int64_t rows, const LaneKernels<T>& kernels,
                                   const OutlierMask* outliers = nullptr);

}  // namespace halftone
