#include "quantize/sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <numeric>

#include "base/parallel.h"
#include "matrix/two_part_matrix.h"

namespace halftone {
namespace {

constexpr int64_t kBlocksAtOnce = 4;  // whose errors reach the columns far beyond them together

// A lazy block [begin, end) of a sweep under way.
template <class T>
struct Block {
  const SweepTask<T>& task;
  Grid<T>& grid;
  const LaneKernels<T>& kernels;
  int64_t begin, end;
  const T* weights;    // (in, rows), compensated up to this block
  const T* original;   // (in, rows)
  const T* upper;      // (in, in) or null
  const T* drift;      // (in, in) or null
  T* errors;           // (end - begin, rows), kept for the columns beyond the block
  T* drifts;           // (end - begin, rows), with `drift`
  uint8_t* codes;      // (in, rows)
  double* error;       // (rows) sums of e^2
  double* difference;  // (rows) sums of (w0 - value)^2
};

// Columns that the grid fits at once.
template <class T>
int64_t fitted_columns(const Grid<T>& grid, const Grouping& grouping) {
  return std::max(grid.fit_columns(), grouping.group_size);
}

// What a two-stream target adds to a column before it is rounded, sixteen rows (methods.md 3.3):
// the residual that joins E', and S for P, with its sign turned because it is subtracted as E' is.
// original, weights, residual, drifts: (16)
template <class T>
void add_target(const SweepTask<T>& task, const T* original, const T* weights, T* residual,
                T* drifts) {
  const T alpha = static_cast<T>(task.target.alpha), alpha2 = static_cast<T>(task.target.alpha2);
  for (int lane = 0; lane < kLanes; ++lane) {
    residual[lane] = alpha2 * (original[lane] - weights[lane]);
    drifts[lane] = -(alpha * weights[lane] + residual[lane]);
  }
}

// What sixteen rows of one block are worked on in, column after column: (columns, 16) each.
template <class T>
struct Scratch {
  explicit Scratch(int64_t columns)
      : tile(static_cast<size_t>(columns * kLanes)), drifts(tile.size()), replaced(tile.size()) {}
  std::vector<T> tile;      // w, then E'
  std::vector<T> drifts;    // -S
  std::vector<T> replaced;  // parity: what the columns beyond the block take for w, less w
};

// Turns E' and -S of a block's columns into those of `replaced` weights (methods.md 3.3): w less
// that joins the residual and leaves the drift.
template <class T>
void pass_on_replacements(const Block<T>& block, Scratch<T>& scratch) {
  const T alpha = static_cast<T>(block.task.target.alpha),
          alpha2 = static_cast<T>(block.task.target.alpha2);
  const int64_t in = block.task.original.size(0);
  for (int64_t k = 0; k < block.end - block.begin; ++k) {
    const T pivot = block.upper[(block.begin + k) * in + block.begin + k];
    for (int64_t i = k * kLanes; i < (k + 1) * kLanes; ++i) {
      scratch.tile[i] -= alpha2 * scratch.replaced[i] / pivot;
      scratch.drifts[i] -= (alpha - alpha2) * scratch.replaced[i];
    }
  }
}

// From weights before rounding to how far clamping moves them.
template <class T>
void replace_by_clamped(const Block<T>& block, int64_t row, Scratch<T>& scratch) {
  const int64_t last = block.end - 1;
  const Place place{last, block.task.grouping.group_of[last], row};
  T low[kLanes], high[kLanes];
  block.grid.range(place, low, high);
  for (size_t i = 0; i < scratch.replaced.size(); ++i) {
    const T weight = scratch.replaced[i];
    scratch.replaced[i] = std::clamp(weight, low[i % kLanes], high[i % kLanes]) - weight;
  }
}

// Sixteen rows through one block.
template <class T>
void sweep_tile(const Block<T>& block, int64_t row, Scratch<T>& scratch) {
  T *tile = scratch.tile.data(), *drifts = scratch.drifts.data();
  const Grouping& grouping = block.task.grouping;
  const int64_t in = block.task.original.size(0), rows = block.task.original.size(1);
  const int64_t columns = block.end - block.begin;
  // the block's own copy, which later columns of the block see compensated
  for (int64_t k = 0; k < columns; ++k)
    std::copy_n(block.weights + (block.begin + k) * rows + row, kLanes, tile + k * kLanes);
  const bool targeted = block.task.target.alpha != 0 || block.task.target.alpha2 != 0;
  const TargetParity parity =
      targeted && block.upper ? block.task.target.parity : TargetParity::kNone;
  const int64_t fitted = fitted_columns(block.grid, grouping), joint = block.grid.joint_columns();
  T error_sum[kLanes] = {}, difference_sum[kLanes] = {}, value[kLanes];
  for (int64_t k = 0; k < columns; ++k) {
    const int64_t position = block.begin + k;
    T* column = tile + k * kLanes;
    const Place at{position, grouping.group_of[position], row};
    if (grouping.refit && position % fitted == 0) {
      const int64_t members = std::min(fitted, in - position);
      block.grid.fit(at, members, column, block.task.importance.data() + position);
    }
    if (joint > 1 && position % joint == 0)
      block.grid.choose(at, column, block.task.importance.data() + position);
    block.grid.round(at, column, block.codes + position * rows + row, value);
    const T pivot = block.upper ? block.upper[position * in + position] : T{1};
    const T* start = block.original + position * rows + row;
    T residual[kLanes];
    if (targeted) add_target(block.task, start, column, residual, drifts + k * kLanes);
    if (parity != TargetParity::kNone)
      for (int64_t lane = 0; lane < kLanes; ++lane)
        scratch.replaced[k * kLanes + lane] =
            parity == TargetParity::kOrg ? value[lane] - column[lane] : column[lane];
    block.kernels.take_error(pivot, start, value, column, error_sum, difference_sum);
    if (!block.upper || !block.task.within_block) continue;
    for (int lane = 0; targeted && lane < kLanes; ++lane) column[lane] += residual[lane] / pivot;
    // place 1: the rest of the block, w -= e U (- s P)
    const int64_t rest = columns - k - 1, next = position * in + position + 1;
    block.kernels.subtract_outer(rest, block.upper + next, column, column + kLanes);
    if (block.drift)
      block.kernels.subtract_outer(rest, block.drift + next, drifts + k * kLanes, column + kLanes);
  }
  if (parity == TargetParity::kAllw) replace_by_clamped(block, row, scratch);
  if (parity != TargetParity::kNone) pass_on_replacements(block, scratch);
  for (int64_t k = 0; block.upper && k < columns; ++k) {
    std::copy_n(tile + k * kLanes, kLanes, block.errors + k * rows + row);
    if (block.drift) std::copy_n(drifts + k * kLanes, kLanes, block.drifts + k * rows + row);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    block.error[row + lane] += static_cast<double>(error_sum[lane]);
    block.difference[row + lane] += static_cast<double>(difference_sum[lane]);
  }
}

template <class T>
void sweep_block(const Block<T>& block) {
  const int64_t rows = block.task.original.size(1);
  parallel_for(block.task.threads, rows, kLanes, [&](int64_t begin, int64_t end) {
    Scratch<T> scratch(block.end - block.begin);
    for (int64_t row = begin; row < end; row += kLanes) sweep_tile(block, row, scratch);
  });
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

template <class T>
at::Tensor expected_weights(const SweepTask<T>& task) {
  if (!task.drift.defined() || task.target.alpha == 0) return task.original;
  at::Tensor passed_on = task.drift * -task.target.alpha;  // I + this is what w is multiplied by
  at::Tensor start = task.original;
  if (task.target.alpha2 != 0) {
    const at::Tensor feedback =
        (task.drift - task.upper.triu(1) / task.upper.diagonal().unsqueeze(1)) * task.target.alpha2;
    passed_on += feedback;
    start = at::addmm(start, feedback.t(), start);
  }
  const at::Tensor weights = at::linalg_solve_triangular(passed_on.t(), start, /*upper=*/false,
                                                         /*left=*/true, /*unitriangular=*/true);
  return weights.isfinite().all().template item<bool>() ? weights.contiguous() : task.original;
}

template <class T>
void fit_static_groups(const SweepTask<T>& task, Grid<T>& grid) {
  const Grouping& grouping = task.grouping;
  const int64_t in = task.original.size(0), rows = task.original.size(1);
  const at::Tensor fitted = task.target.fits_expected() ? expected_weights(task) : task.original;
  const T* weights = fitted.template const_data_ptr<T>();
  const std::vector<int64_t> positions = grouping.positions();
  std::vector<T> importance(positions.size());
  for (int64_t column = 0; column < in; ++column)
    importance[column] = task.importance[positions[column]];
  const int64_t fit = fitted_columns(grid, grouping);
  parallel_for(task.threads, rows, kLanes, [&](int64_t begin, int64_t end) {
    std::vector<T> tile(fit * kLanes);
    for (int64_t row = begin; row < end; row += kLanes) {
      for (int64_t first = 0; first < in; first += fit) {
        const int64_t columns = std::min(fit, in - first), group = first / grouping.group_size;
        for (int64_t k = 0; k < columns; ++k)
          std::copy_n(weights + positions[first + k] * rows + row, kLanes,
                      tile.data() + k * kLanes);
        grid.fit({positions[first], group, row}, columns, tile.data(), importance.data() + first);
      }
    }
  });
}

template <class T>
SweepResult sweep(const SweepTask<T>& task, Grid<T>& grid, const LaneKernels<T>& kernels) {
  const int64_t in = task.original.size(0), rows = task.original.size(1);
  assert(rows % kLanes == 0 && task.importance.size() == static_cast<size_t>(in));
  assert(!task.grouping.refit || task.block % fitted_columns(grid, task.grouping) == 0);
  const bool compensate = task.upper.defined();
  at::Tensor weights = compensate ? task.original.clone() : task.original;
  const int64_t far = kBlocksAtOnce * task.block;
  at::Tensor errors = at::empty({compensate ? std::min(far, in) : 0, rows}, weights.options());
  const bool drifting = compensate && task.drift.defined();
  at::Tensor drifts = at::empty({drifting ? errors.size(0) : 0, rows}, weights.options());
  SweepResult result;
  result.codes = at::empty({in, rows}, at::kByte);
  std::vector<double> error(rows), difference(rows);
  for (int64_t begin = 0; begin < in; begin += task.block) {
    const int64_t end = std::min(in, begin + task.block);
    const int64_t first = begin / far * far, near = std::min(in, first + far);
    const int64_t kept = (begin - first) * rows;
    grid.begin_block(begin, end, weights.template const_data_ptr<T>());
    sweep_block(Block<T>{task, grid, kernels, begin, end, weights.template const_data_ptr<T>(),
                         task.original.template const_data_ptr<T>(),
                         compensate ? task.upper.template const_data_ptr<T>() : nullptr,
                         drifting ? task.drift.template const_data_ptr<T>() : nullptr,
                         compensate ? errors.template mutable_data_ptr<T>() + kept : nullptr,
                         drifting ? drifts.template mutable_data_ptr<T>() + kept : nullptr,
                         result.codes.template mutable_data_ptr<uint8_t>(), error.data(),
                         difference.data()});
    if (!compensate || end == in) continue;
    // place 2: columns beyond the block, W -= E U (- S P); those beyond `near` once for all blocks
    // before it, so that they are read and written less often, and in split parts
    const int64_t from = end < near ? begin : first, until = end < near ? near : in;
    const auto subtract = [&](const at::Tensor& matrix, const at::Tensor& passed_on) {
      const at::Tensor rest = weights.narrow(0, end, until - end);
      const at::Tensor own = matrix.narrow(0, from, end - from).narrow(1, end, until - end);
      const at::Tensor passed = passed_on.narrow(0, from - first, end - from);
      if (end < near)
        rest.addmm_(own.t(), passed, 1, -1);
      else
        add_product(rest, TwoPartMatrix(own).t(), TwoPartMatrix(passed, -1));
    };
    subtract(task.upper, errors);
    if (drifting) subtract(task.drift, drifts);
  }
  result.error = sum(error);
  result.difference = sum(difference);
  return result;
}

template at::Tensor expected_weights(const SweepTask<float>&);
template at::Tensor expected_weights(const SweepTask<double>&);
template void fit_static_groups(const SweepTask<float>&, Grid<float>&);
template void fit_static_groups(const SweepTask<double>&, Grid<double>&);
template SweepResult sweep(const SweepTask<float>&, Grid<float>&, const LaneKernels<float>&);
template SweepResult sweep(const SweepTask<double>&, Grid<double>&, const LaneKernels<double>&);

}  // namespace halftone
