// The weights that a sweep has kept out of the grid, gathered tile by tile by any outlier rule.
#pragma once

#include <cstdint>
#include <vector>

#include "quantize/grid/grid.h"
#include "quantize/order.h"

namespace halftone {

class KeptWeights {
 public:
  // rows: a multiple of 16
  KeptWeights(const Grouping& grouping, int64_t rows);

  void clear();
  // Rounds a column of 16 rows on `inner`, except where `outlier` (16) is not 0: there the value is
  // the weight's float16, which is kept, and the code that of 0. From several threads for different
  // tiles of 16 rows.
  template <class T>
  void round_others(Grid<T>& inner, Place at, const uint8_t* outlier, const T* weights,
                    uint8_t* codes, T* values);

  std::vector<int64_t> count_by_row() const;  // (rows)
  // The first `out` rows, columns in the file's order.
  Outliers stored(int64_t out) const;

 private:
  struct Kept {
    int32_t column, row;
    float value;
  };
  void keep(Place at, int lane, float value);

  std::vector<int64_t> columns_;          // (in) the file's column at each sweep position
  std::vector<std::vector<Kept>> tiles_;  // (rows / 16), each in the order of the sweep
};

}  // namespace halftone
