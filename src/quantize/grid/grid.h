// What a weight may become: the seam between the one sweep and every grid and outlier rule
// (methods.md 4, 5).
//
// The sweep hands over tiles (kernels/lane_kernels.h: columns of 16 consecutive rows, column after
// column) and asks for two things only: fit a group, round a column. A grid keeps its own
// parameters. An outlier rule is a Grid that holds another one and lets some values through:
// `Place` tells it which column it is at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/lane_kernels.h"
#include "quantize/quantized_linear.h"

namespace halftone {

// Where in the sweep a column of 16 rows lies.
struct Place {
  int64_t position;  // of the column in sweep order
  int64_t group;
  int64_t row;  // first of the 16 rows
};

template <class T>
class Grid {
 public:
  virtual ~Grid() = default;

  // Columns that are fitted together, whole groups of them: `fit` gets the first one's place; 0:
  // one group at a time.
  virtual int64_t fit_columns() const { return 0; }

  // Width of the lazy blocks that it decides on as a whole; 0: any will do.
  virtual int64_t block_columns() const { return 0; }

  // A lazy block [begin, end) of positions is about to be swept: what a grid has to decide from all
  // rows at once. One thread.   weights: (in, rows), compensated up to `begin`
  virtual void begin_block(int64_t /*begin*/, int64_t /*end*/, const T* /*weights*/) {}

  // Fits `at.group` (and those that fit_columns() adds to it) for 16 rows; called from several
  // threads, for different rows.
  // tile: (columns, 16), current weights; importance: (columns), weight of a column's error
  virtual void fit(Place at, int64_t columns, const T* tile, const T* importance) = 0;

  // Columns that are rounded together, 1 or a divisor of the group: at the first of them `choose`
  // is told their weights, and `round` then gives each the code chosen, whatever the errors of the
  // others have made of it. That is the exact step for several columns at once (methods.md 7.3).
  virtual int64_t joint_columns() const { return 1; }

  // tile: (joint columns, 16), current weights; importance: (joint columns); threads as in fit
  virtual void choose(Place /*at*/, const T* /*tile*/, const T* /*importance*/) {}

  // weights: (16) -> codes: (16), values: (16), what the codes stand for; threads as in fit
  virtual void round(Place at, const T* weights, uint8_t* codes, T* values) = 0;

  // Least and greatest value of the group's codes; low, high: (16). Only of grids whose values are
  // an interval's (uniform); the others give everything.
  virtual void range(Place /*at*/, T* low, T* high) const {
    std::fill_n(low, kLanes, -std::numeric_limits<T>::infinity());
    std::fill_n(high, kLanes, std::numeric_limits<T>::infinity());
  }

  // Puts into `linear` what the codes mean: scales, zeros and whatever else the grid has. bits,
  // group_size, symmetric and codes are set already.
  virtual void store(QuantizedLinear& linear) const = 0;
};

}  // namespace halftone
