// Which weights of a linear are outliers, where that is decided before the sweep.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "quantize/grid/grid.h"
#include "quantize/order.h"

namespace halftone {

struct OutlierMask {
  at::Tensor members;  // (out, in) bool, columns in the file's order
  double least = 0;    // the smallest magnitude among them; 0: there are none
};

// The mask as a grid asks for it: sixteen rows of a column at a time.
class MaskedGroups {
 public:
  // rows: a multiple of 16, at least the mask's; those beyond have no outliers
  MaskedGroups(const OutlierMask& mask, const Grouping& grouping, int64_t rows);

  // Of column `k` of the group that is being fitted, counted as in its tile.  -> (16), 1 or 0
  const uint8_t* of_group(Place at, int64_t k) const {
    return of_file_column(
        grouping_.refit ? grouping_.columns[at.position + k] : at.group * grouping_.group_size + k,
        at.row);
  }
  // Of the column that is being rounded.  -> (16), 1 or 0
  const uint8_t* of_column(Place at) const {
    return of_file_column(grouping_.columns[at.position], at.row);
  }

 private:
  const uint8_t* of_file_column(int64_t column, int64_t row) const {
    return is_outlier_.const_data_ptr<uint8_t>() + column * is_outlier_.size(1) + row;
  }

  Grouping grouping_;
  at::Tensor is_outlier_;  // (in, rows) uint8, by file column
};

}  // namespace halftone
