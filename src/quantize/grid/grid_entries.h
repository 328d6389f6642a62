// The list of grids: one row a kind, made in grid/NAME.cpp. What a sweep asks of a grid while it
// runs is grid.h; a row says how such a grid is made and what the linears that it leaves mean.
// (format/native_kinds.h has the list of how they are stored.)
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"
#include "quantize/quantized_linear.h"

namespace halftone {

template <class T>
using MakeGrid = std::unique_ptr<Grid<T>> (*)(const GridChoice& choice,
                                              const GridContext<T>& context);

struct GridEntry {
  GridKind kind;
  bool needs_pivots = false;  // what it decides depends on the factor, not on the weights alone
  MakeGrid<float> make_float;
  MakeGrid<double> make_double;

  // What the codes of rows [begin, begin + count) mean, but for outliers beside the grid. ->
  // (count, in) float32
  at::Tensor (*values)(const QuantizedLinear& linear, int64_t begin, int64_t count);
  // bits_per_weight without outliers beside the grid.
  double (*bits)(const QuantizedLinear& linear);
  // Puts what the codes of `runs` of rows mean, one below the other, into `linear`, which starts as
  // the first of them; codes, dead columns and outliers beside the grid are joined already.
  void (*join)(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear);
  // Errors: scales, zeros or parts of their own that are none of this kind. Bits, group size and
  // codes are checked already.
  void (*check)(const QuantizedLinear& linear);

  template <class T>
  std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) const {
    if constexpr (std::is_same_v<T, double>)
      return make_double(choice, context);
    else
      return make_float(choice, context);
  }
};

GridEntry uniform_entry();
GridEntry bilevel_entry();
GridEntry split_entry();
GridEntry binary_entry();
GridEntry super_block_entry();
GridEntry vector_entry();
GridEntry trellis_entry();

const GridEntry& grid_entry(GridKind kind);

}  // namespace halftone
