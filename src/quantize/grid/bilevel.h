// The bilevel grid w = scale * (code - zero), whose scales and fractional zeros are on grids of
// their own, shared by runs of rows (methods.md 4.2; Dettmers et al. 2023, SpQR, arXiv 2306.03078).
// Weights are rounded against the scales and zeros that a file gives back.
//
// Deviations from the public code: see second_level.h. A group of one number never falls back to a
// default range, and symmetric grids always span +-max|w|.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "quantize/grid/grid.h"
#include "quantize/grid/grid_context.h"
#include "quantize/grid/second_level.h"
#include "recipe/linear_recipe.h"

namespace halftone {

template <class T>
class BilevelGrid final : public Grid<T> {
 public:
  // options: qq_groupsize divides 16, so that a run never leaves the 16 rows that are fitted
  // together
  BilevelGrid(const GridOptions& options, const GridContext<T>& context);

  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  // Scale and zero of one group of one row, before they are coded.
  struct First {
    double scale, zero;
    bool constant;
  };
  First first_level(double low, double high) const;

  // One kind of number of all groups and rows.
  struct Numbers {
    Numbers(int64_t groups, int64_t rows, int64_t runs);
    SecondLevel stored(int bits, int64_t out, int64_t runs) const;
    at::Tensor values;        // (groups, rows) T, as reconstructed
    at::Tensor codes;         // (groups, rows) uint8
    at::Tensor steps, zeros;  // (groups, runs) float32
  };
  // Codes the run of `members` that starts at `at.row`.
  void code(Numbers& numbers, Place at, std::span<const RunMember> members, int bits,
            bool positive) const;

  GridOptions options_;
  LaneKernels<T> kernels_;
  int64_t out_, rows_;
  std::vector<int64_t> dead_columns_;
  std::vector<uint8_t> dead_;  // (in) by position: is it one of them
  Numbers scales_, zeros_;
};

}  // namespace halftone
