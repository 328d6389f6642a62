// Which values the weights of a linear may become: what is asked of a grid for one rounding of its
// rows. The recipe's own choice and the plainer ones that it is measured against are made alike.
#pragma once

#include "quantize/grid/outlier_mask.h"
#include "recipe/linear_recipe.h"

namespace halftone {

struct GridChoice {
  GridOptions grid;
  OutlierOptions outliers = {};  // spqr: which weights the sweep keeps outside the grid

  // Decided before the sweep, whatever the rule: kept outside the grid, or a split grid's own;
  // null: none are.
  const OutlierMask* mask = nullptr;
  bool thorough = true;  // false: only a baseline; the shortest of the grid's searches will do

  // Whether weights are kept outside the grid.
  bool keeps_outliers() const {
    return grid.kind != GridKind::kSplit &&
           (mask != nullptr || outliers.kind == OutlierKind::kSpqr);
  }
};

}  // namespace halftone
