// One way of rounding rows of a linear: what grid, what groups, with or without the factor (used by
// solve_rows.cpp, which decides which way to go).
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "quantize/grid/grid_entries.h"
#include "quantize/make_grid.h"
#include "quantize/outlier_rate.h"
#include "quantize/shared_input.h"
#include "quantize/solve_rows.h"
#include "quantize/sweep.h"
#include "quantize/tiles.h"

namespace halftone {

// A grid and the codes found on it.
template <class T>
struct Rounded {
  Grouping grouping;
  std::shared_ptr<Grid<T>> grid;
  SweepResult result;
};

// Rows of one linear, made ready once; rounded and swept as often as the ladder asks.
template <class T>
class Rounding {
 public:
  // All must outlive it. choice: the one whose result a file is to hold
  Rounding(const SharedInput& shared, const Rows& rows, const GridChoice& choice)
      : shared_(shared),
        rows_(rows),
        choice_(choice),
        out_(rows.weight.size(0)),
        columns_(shared.columns),
        kernels_(lane_kernels<T>()) {
    if (columns_.empty()) {
      columns_.resize(rows.weight.size(1));
      std::iota(columns_.begin(), columns_.end(), 0);
    }
    original_ = to_sweep_layout<T>(rows.weight, columns_, shared.threads);
  }

  // Each weight by itself, groups fitted to the original weights.   importance: (in) by file
  // column, or empty
  Rounded<T> round_to_nearest(const GridChoice& choice, const std::vector<double>& importance = {},
                              bool static_groups = true) const {
    Rounded<T> rounded = start(static_groups);
    SweepTask<T> task = task_for(rounded.grouping);
    for (size_t position = 0; position < importance.size(); ++position)
      task.importance[position] = static_cast<T>(importance[columns_[position]]);
    rounded.grid = grid_for(choice, task);
    rounded.result = sweep(task, *rounded.grid, kernels_);
    return rounded;
  }

  // What compensation is measured by: rounding to nearest on the same grid, without outliers beside
  // it. Where the sweep uses a grid of its own this one is no more than that: no thorough search.
  Rounded<T> baseline(const TargetOptions& target) const {
    const bool split = choice_.grid.kind == GridKind::kSplit;
    const bool by_weights = !grid_entry(choice_.grid.kind).needs_pivots;
    return round_to_nearest({.grid = choice_.grid,
                             .mask = split ? choice_.mask : nullptr,
                             .thorough = by_weights && fits_original(target)});
  }

  // upper, drift: (in, in); nearest: its grid is the one to use where groups are fitted to the
  // original weights and the grid needs nothing of the factor
  Rounded<T> compensate(const TargetOptions& target, const at::Tensor& upper,
                        const at::Tensor& drift, const Rounded<T>& nearest) const {
    const bool weighted = choice_.grid.clip_weights == ClipWeights::kFactor;
    const bool reuse = fits_original(target) && !needs_own_grid(choice_) && !weighted;
    Rounded<T> rounded = reuse ? nearest : start(!refits());
    SweepTask<T> task = task_for(rounded.grouping);
    task.upper = upper.to(original_.scalar_type());
    if (drift.defined()) task.drift = drift.to(original_.scalar_type());
    task.target = target;
    task.within_block = !choice_.grid.is_binary_parity();
    if (weighted) task.importance = weights_of_errors(pivots_of(task));
    if (!reuse) rounded.grid = grid_for(choice_, task);
    task.block = sweep_block_width(rounded.grouping, *rounded.grid);
    rounded.result = sweep(task, *rounded.grid, kernels_);
    return rounded;
  }

  // Whether groups are fitted when the sweep reaches them.
  bool refits() const {
    return group_columns(columns_, choice_.grid.group_size, shared_.options.order.static_groups)
        .refit;
  }

  // Whether the sweep's groups are those of round_to_nearest, fitted to the original weights.
  bool fits_original(const TargetOptions& target) const {
    return !refits() && !target.fits_expected();
  }

  // What a file stores of it.
  QuantizedLinear finish(const Rounded<T>& rounded) const {
    QuantizedLinear linear;
    linear.bits = choice_.grid.code_bits();
    linear.group_size = rounded.grouping.group_size;
    linear.symmetric = choice_.grid.symmetric;
    linear.codes = codes_in_file_order(rounded.result.codes, columns_, out_, shared_.threads);
    rounded.grid->store(linear);
    if (rounded.grouping.needs_index()) linear.group_of_column = group_index(rounded.grouping);
    return linear;
  }

 private:
  Rounded<T> start(bool static_groups) const {
    return {group_columns(columns_, choice_.grid.group_size, static_groups), nullptr, {}};
  }

  // A grid for the task, fitted already where groups are static; the task's blocks become its.
  std::shared_ptr<Grid<T>> grid_for(const GridChoice& choice, SweepTask<T>& task) const {
    const bool zeroed = shared_.diagonal.usable;  // target_weight zeroes dead columns only then
    const GridContext<T> context{.grouping = task.grouping,
                                 .out = out_,
                                 .rows = original_.size(1),
                                 .original = original_,
                                 .pivots = pivots_of(task),
                                 .dead = zeroed ? shared_.diagonal.dead : std::vector<int64_t>{},
                                 .row_weights = rows_.outlier_weights,
                                 .kernels = kernels_,
                                 .threads = shared_.threads};
    double threshold = 0;
    if (choice.mask == nullptr && choice.keeps_outliers() && choice.outliers.rate > 0)
      threshold = threshold_for_rate(choice, task, context).threshold;
    std::shared_ptr<Grid<T>> grid = make_grid(choice, context, threshold);
    if (!task.grouping.refit) fit_static_groups(task, *grid);
    task.block = sweep_block_width(task.grouping, *grid);
    return grid;
  }

  // The factor's diagonal; for a diagonal Hessian that is one over the root of its own.
  // -> (in) by position
  static std::vector<T> pivots_of(const SweepTask<T>& task) {
    std::vector<T> pivots(task.importance.size());
    for (size_t j = 0; j < pivots.size(); ++j)
      pivots[j] = task.importance[j] > 0 ? 1 / std::sqrt(task.importance[j]) : T{1};
    if (!task.upper.defined()) return pivots;
    const at::Tensor diagonal = task.upper.diagonal().contiguous();
    std::copy_n(diagonal.template const_data_ptr<T>(), diagonal.size(0), pivots.begin());
    return pivots;
  }

  // 1 / c_j^2, what the sweep counts a column's rounding error, the greatest of them 1.
  // pivots: (in) -> (in), by position
  static std::vector<T> weights_of_errors(std::vector<T> pivots) {
    const T least = *std::min_element(pivots.begin(), pivots.end());
    for (T& pivot : pivots) pivot = least / pivot * (least / pivot);
    return pivots;
  }

  SweepTask<T> task_for(const Grouping& grouping) const {
    return {.grouping = grouping,
            .original = original_,
            .importance = std::vector<T>(columns_.size(), T{1}),
            .block = block_width(grouping),
            .threads = shared_.threads};
  }

  static at::Tensor group_index(const Grouping& grouping) {
    at::Tensor index = at::empty({static_cast<int64_t>(grouping.columns.size())}, at::kInt);
    for (size_t position = 0; position < grouping.columns.size(); ++position)
      index.mutable_data_ptr<int32_t>()[grouping.columns[position]] = grouping.group_of[position];
    return index;
  }

  const SharedInput& shared_;
  const Rows& rows_;
  const GridChoice& choice_;
  int64_t out_;
  std::vector<int64_t> columns_;
  LaneKernels<T> kernels_;
  at::Tensor original_;  // (in, rows)
};

}  // namespace halftone
