#include "quantize/solve.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "quantize/grid/make_grid.h"
#include "quantize/outliers/rate_search.h"
#include "quantize/sweep.h"
#include "quantize/target.h"
#include "quantize/tiles.h"

namespace halftone {
namespace {

constexpr double kGreatestDrift =
    4;  // |What - W0| over that of round-to-nearest (METHODS 7.6, step 6)
constexpr double kGreatestDamping = 10;  // times the reference diagonal
constexpr int64_t kComparedTiles = 2;    // of 16 rows, set against rounding to nearest

void append(std::string& steps, std::string_view step) {
  if (!steps.empty()) steps += "; ";
  steps += step;
}

bool is_binary_parity(const GridOptions& grid) {
  return grid.kind == GridKind::kBinary && grid.mode == BinaryMode::kParity;
}

// A grid and the codes found on it.
template <class T>
struct Rounded {
  Grouping grouping;
  std::shared_ptr<Grid<T>> grid;
  SweepResult result;
};

template <class T>
class LinearJob {
 public:
  LinearJob(const SharedInput& shared, const Rows& rows)
      : shared_(shared),
        rows_(rows),
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
  Rounded<T> round_to_nearest(const LinearRecipe& recipe,
                              const std::vector<double>& importance = {},
                              bool static_groups = true) const {
    Rounded<T> rounded = start(recipe, static_groups);
    SweepTask<T> task = task_for(rounded.grouping);
    for (size_t position = 0; position < importance.size(); ++position)
      task.importance[position] = static_cast<T>(importance[columns_[position]]);
    rounded.grid = grid_for(recipe, task);
    rounded.result = sweep(task, *rounded.grid, kernels_);
    return rounded;
  }

  // upper, drift: (in, in); nearest: its grid is the one to use where groups are static and the
  // grid needs nothing of the factor
  Rounded<T> compensate(const at::Tensor& upper, const at::Tensor& drift,
                        const Rounded<T>& nearest) const {
    const bool reuse = !refits() && !grid_needs_pivots(shared_.recipe);
    Rounded<T> rounded = reuse ? nearest : start(shared_.recipe, !refits());
    SweepTask<T> task = task_for(rounded.grouping);
    task.upper = upper.to(original_.scalar_type());
    if (drift.defined()) task.drift = drift.to(original_.scalar_type());
    task.alpha = shared_.recipe.target.alpha;
    task.alpha2 = shared_.recipe.target.alpha2;
    task.parity = shared_.recipe.target.parity;
    task.within_block = !is_binary_parity(shared_.recipe.grid);
    if (!reuse) rounded.grid = grid_for(shared_.recipe, task);
    rounded.result = sweep(task, *rounded.grid, kernels_);
    return rounded;
  }

  bool refits() const {
    return group_columns(columns_, shared_.recipe.grid.group_size,
                         shared_.recipe.order.static_groups)
        .refit;
  }

  QuantizedLinear finish(const Rounded<T>& rounded) const {
    QuantizedLinear linear;
    linear.bits = shared_.recipe.grid.bits;
    linear.group_size = rounded.grouping.group_size;
    linear.symmetric = shared_.recipe.grid.symmetric;
    linear.codes = codes_in_file_order(rounded.result.codes, columns_, out_, shared_.threads);
    rounded.grid->store(linear);
    if (rounded.grouping.needs_index()) linear.group_of_column = group_index(rounded.grouping);
    return linear;
  }

 private:
  Rounded<T> start(const LinearRecipe& recipe, bool static_groups) const {
    return {group_columns(columns_, recipe.grid.group_size, static_groups), nullptr, {}};
  }

  // A grid for the task, fitted already where groups are static.
  std::shared_ptr<Grid<T>> grid_for(const LinearRecipe& recipe, const SweepTask<T>& task) const {
    const bool zeroed = shared_.diagonal.usable;  // aimed_weight zeroes dead columns only then
    GridContext<T> context{.grouping = task.grouping,
                           .out = out_,
                           .rows = original_.size(1),
                           .original = original_,
                           .pivots = pivots_of(task),
                           .dead = zeroed ? shared_.diagonal.dead : std::vector<int64_t>{},
                           .row_weights = rows_.outlier_weights,
                           .kernels = kernels_,
                           .outliers = rows_.outliers ? &*rows_.outliers : nullptr,
                           .threads = shared_.threads};
    if (recipe.outliers.kind == OutlierKind::kSensitivity && recipe.outliers.rate > 0)
      context.outlier_threshold = threshold_for_rate(recipe, task, context).threshold;
    std::shared_ptr<Grid<T>> grid = make_grid(recipe, context);
    if (!task.grouping.refit) fit_static_groups(task, *grid);
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

  // A group of a binary grid is decided on as a whole.
  int64_t block_of(const Grouping& grouping) const {
    const bool binary = shared_.recipe.grid.kind == GridKind::kBinary;
    return binary ? grouping.group_size : block_width(grouping);
  }

  SweepTask<T> task_for(const Grouping& grouping) const {
    return {.grouping = grouping,
            .original = original_,
            .importance = std::vector<T>(columns_.size(), T{1}),
            .block = block_of(grouping),
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
  int64_t out_;
  std::vector<int64_t> columns_;
  LaneKernels<T> kernels_;
  at::Tensor original_;  // (in, rows)
};

// Row by row: one float32 sum over a whole matrix would lose the third digit.   x: (out, in)
double squared_norm(const at::Tensor& x) {
  return at::linalg_vector_norm(x, 2, at::IntArrayRef{1})
      .to(at::kDouble)
      .square()
      .sum()
      .template item<double>();
}

// Losses of a result without compensation, which the sweep's own sum of e^2 does not describe.
// difference: |What - W0|^2
void measure(const SharedInput& shared, const at::Tensor& weight, double difference,
             SolvedRows& solved) {
  solved.loss = solved.error = difference;
  solved.energy = squared_norm(weight);
  if (!shared.diagonal.usable) return;
  const double error = quadratic_form(
      weight - dequantize(solved.quantized).to(weight.scalar_type()), shared.hessian);
  if (!std::isfinite(error))
    return;  // off-diagonal NaN: the distance of the weights is all there is to tell
  solved.loss = error + shared.recipe.objective.damping * shared.diagonal.reference * difference;
  solved.error = error;
  solved.energy = quadratic_form(weight, shared.hessian);
}

// Which weights of some rows a result keeps outside its grid.   -> (count, in) bool
at::Tensor kept_weights(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  at::Tensor kept = at::zeros({count, linear.in()}, at::kBool);
  const auto* starts = linear.outliers->row_starts.const_data_ptr<int64_t>();
  const auto* columns = linear.outliers->columns.const_data_ptr<int32_t>();
  for (int64_t row = 0; row < count; ++row)
    for (int64_t i = starts[begin + row]; i < starts[begin + row + 1]; ++i)
      kept.mutable_data_ptr<bool>()[row * linear.in() + columns[i]] = true;
  return kept;
}

// What compensation is worth: two sums over a few tiles of rows, so that it costs next to nothing.
template <class T>
void compare_to_nearest(const SharedInput& shared, const Rows& rows, SolvedRows& solved) {
  if (!shared.diagonal.usable) return;
  const int64_t out = rows.weight.size(0);
  const auto sampled = [&](auto&& part) {
    std::vector<at::Tensor> parts;
    for (const int64_t tile : spread_tiles(out, kComparedTiles))
      parts.push_back(part(tile * kLanes, std::min<int64_t>(kLanes, out - tile * kLanes)));
    return at::cat(parts);
  };
  const auto rows_of = [&](const at::Tensor& all) {
    return sampled([&](int64_t row, int64_t count) { return all.narrow(0, row, count); });
  };
  Rows sample{rows_of(rows.weight)};
  SharedInput plain = shared;
  if (rows.outliers) sample.outliers = {rows_of(rows.outliers->members), rows.outliers->least};
  if (solved.quantized.outliers) {
    const auto kept = [&](int64_t row, int64_t count) {
      return kept_weights(solved.quantized, row, count);
    };
    sample.outliers = {sampled(kept), 0};
    plain.recipe.outliers.kind = OutlierKind::kLasso;  // decided, however it came about
  }
  const LinearJob<T> job(plain, sample);
  const QuantizedLinear nearest =
      job.finish(job.round_to_nearest(plain.recipe, {}, /*static_groups=*/!job.refits()));
  const at::Tensor found = sampled(
      [&](int64_t row, int64_t count) { return dequantize_rows(solved.quantized, row, count); });
  const auto error_of = [&](const at::Tensor& values) {
    return quadratic_form(sample.weight - values.to(sample.weight.scalar_type()), shared.hessian);
  };
  solved.sampled_error = error_of(found);
  solved.nearest_error = error_of(dequantize(nearest));
}

// The sweep at growing damping until its result stays near the original weights; false: it never
// did.
template <class T>
bool solve_compensated(const SharedInput& shared, const at::Tensor& weight, const LinearJob<T>& job,
                       const Rounded<T>& nearest, SolvedRows& solved) {
  DampedFactor factor = shared.factor;
  at::Tensor drift_matrix = shared.drift;
  // the sum of e^2 is the loss of the plain target, fully compensated
  const bool adds_up = shared.recipe.target.alpha == 0 && shared.recipe.target.alpha2 == 0 &&
                       !is_binary_parity(shared.recipe.grid);
  while (factor.upper.defined()) {
    const Rounded<T> rounded = job.compensate(factor.upper, drift_matrix, nearest);
    const double drift = std::sqrt(rounded.result.difference / nearest.result.difference);
    const double limit = kGreatestDrift * kGreatestDrift * nearest.result.difference;
    if (rounded.result.difference <= limit) {
      const double ridge = factor.share * shared.diagonal.reference;
      solved.quantized = job.finish(rounded);
      solved.damping = factor.share;
      if (!adds_up) {
        measure(shared, weight, rounded.result.difference, solved);
        return true;
      }
      solved.loss = rounded.result.error / shared.diagonal.normalizer();
      solved.error = solved.loss - ridge * rounded.result.difference;
      solved.energy = quadratic_form(weight, shared.hessian);
      return true;
    }
    const double next = factor.share > 0 ? factor.share * 10 : 0.01;
    if (next > kGreatestDamping) return false;
    append(solved.fallback,
           fmt::format("damping {:g} (weights moved {:.3g} times as far as by rounding to nearest)",
                       next, drift));
    factor = factor_with_ladder(shared.hessian, shared.diagonal, shared.columns, next);
    if (!factor.steps.empty()) append(solved.fallback, factor.steps);
    drift_matrix = shared.drift_for(factor);
  }
  return false;
}

// With compensation where the numbers allow it, else without.
template <class T>
SolvedRows compensated_or_not(const SharedInput& shared, const Rows& rows) {
  SolvedRows solved;
  solved.fallback = shared.factor.steps;
  const LinearJob<T> job(shared, rows);
  if (shared.factor.upper.defined()) {
    // with dynamic groups this grid serves only as a yardstick: no clip search
    LinearRecipe yardstick = shared.recipe;
    if (job.refits()) yardstick.grid.clip_search = false;
    yardstick.grid.mode = BinaryMode::kParity;  // of the binary searches the shortest
    yardstick.outliers = {};
    const Rounded<T> nearest = job.round_to_nearest(yardstick);
    if (solve_compensated(shared, rows.weight, job, nearest, solved)) return solved;
  }
  std::vector<double> importance;
  if (shared.diagonal.usable) {
    if (shared.recipe.objective.kind != ObjectiveKind::kDiagonal)
      append(solved.fallback, "diagonal Hessian, no compensation");
    for (const double value : shared.diagonal.values)
      importance.push_back(value / shared.diagonal.reference);
  } else if (shared.hessian.defined()) {
    append(solved.fallback,
           "round to nearest (the Hessian's diagonal is zero, negative or not finite)");
  }
  const Rounded<T> rounded = job.round_to_nearest(shared.recipe, importance);
  solved.quantized = job.finish(rounded);
  measure(shared, rows.weight, rounded.result.difference, solved);
  return solved;
}

}  // namespace

at::Tensor SharedInput::drift_for(const DampedFactor& of) const {
  if (!recipe.target.needs_drift_matrix() || !moment.defined() || !of.upper.defined()) return {};
  return drift_matrix(moment, of.upper);
}

at::Tensor SharedInput::shift_of(const at::Tensor& weight) const {
  return weight_shift(weight, moment, factor.upper, columns);
}

at::Tensor aimed_weight(const SharedInput& shared, const at::Tensor& original,
                        const at::Tensor& shift) {
  at::Tensor weight = original;
  // before dead columns are zeroed: a dead column's row of D may hold something
  if (const double share = shared.recipe.target.preshift; share > 0 && shared.can_shift())
    weight = weight + (shift.defined() ? shift : shared.shift_of(weight)) * share;
  if (shared.diagonal.usable && !shared.diagonal.dead.empty()) {
    weight = weight.clone();
    weight.index_fill_(1, at::tensor(shared.diagonal.dead, at::kLong), 0);
  }
  return weight;
}

template <class T>
SolvedRows solve_rows(const SharedInput& shared, const Rows& rows) {
  SolvedRows solved = compensated_or_not<T>(shared, rows);
  compare_to_nearest<T>(shared, rows, solved);
  return solved;
}
template SolvedRows solve_rows<float>(const SharedInput&, const Rows&);
template SolvedRows solve_rows<double>(const SharedInput&, const Rows&);

}  // namespace halftone
