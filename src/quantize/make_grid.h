// From what is asked of a grid to the object that the sweep asks, outlier rule and all.
#pragma once

#include <memory>
#include <vector>

#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"

namespace halftone {

// True if the grid that a compensated sweep uses differs from that of rounding to nearest by more
// than what it is fitted to: it looks at `pivots`, or keeps outliers.
bool needs_own_grid(const GridChoice& choice);

// outlier_threshold: of the squared error in units of c_j, for outliers by sensitivity; 0: tau
template <class T>
std::unique_ptr<Grid<T>> make_grid(const GridChoice& choice, const GridContext<T>& context,
                                   double outlier_threshold = 0);

}  // namespace halftone
