// Outliers by sensitivity (methods.md 5.1; Dettmers et al. 2023, SpQR, arXiv 2306.03078): a weight
// whose rounding would cost more than a threshold stays out of the grid, in float16. A Grid that
// holds another one:
//
//   step A, before a group is fitted: weights whose absence would help the others by more than the
//           threshold are replaced by the mean of the others, so that the grid fits the rest;
//   step B, at each column: a weight with ((w - value) / c_j)^2 above the threshold keeps its
//   value.
//
// Step B alone decides what is an outlier. Deviations from the public code: leaving one out takes
// O(group), not O(group^2), and is exact; an outlier is rounded to float16 before its error is
// passed on.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "kernels/lane_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"
#include "quantize/outliers/kept_weights.h"

namespace halftone {

// The mean over columns of Var_rows(w) / c_j^2, which thresholds are multiples of; 0 where all
// columns are constant.   original: (in, rows) T; pivots: (in) by position
template <class T>
double mean_sensitivity(const at::Tensor& original, int64_t out, const std::vector<T>& pivots);

template <class T>
class SensitivityOutliers final : public Grid<T> {
 public:
  // thresholds: (rows), of the squared error in units of c_j: one for each row, so that rows may
  // weigh differently
  SensitivityOutliers(std::unique_ptr<Grid<T>> inner, const GridChoice& choice,
                      const GridContext<T>& context, std::vector<T> thresholds);

  int64_t fit_columns() const override { return inner_->fit_columns(); }
  int64_t block_columns() const override { return inner_->block_columns(); }
  void begin_block(int64_t begin, int64_t end, const T* weights) override;
  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

  const KeptWeights& kept() const { return kept_; }  // by the last sweep

 private:
  // 1 / c_j^2 of the columns of a group that is being fitted
  std::vector<T> importance_of(Place at, int64_t columns) const;

  std::unique_ptr<Grid<T>> inner_;
  LaneKernels<T> kernels_;
  RangeRule rule_;
  bool simplified_;
  Grouping grouping_;
  std::vector<int64_t> positions_;      // (in) by file column
  std::vector<T> pivots_, thresholds_;  // (in) by position, (rows)
  KeptWeights kept_;
};

}  // namespace halftone
