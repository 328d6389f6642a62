#include "quantize/solve.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "quantize/grid/make_grid.h"
#include "quantize/outliers/lasso.h"
#include "quantize/outliers/rate_search.h"
#include "quantize/sweep.h"
#include "quantize/target.h"
#include "quantize/tiles.h"

namespace halftone {
namespace {

constexpr double kGreatestDrift =
    4;  // |What - W0| over that of round-to-nearest (METHODS 7.6, step 6)
constexpr double kGreatestDamping = 10;  // times the reference diagonal

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
  // weight: (out, in) T, dead columns already 0
  LinearJob(const SharedInput& shared, const at::Tensor& weight)
      : shared_(shared),
        out_(weight.size(0)),
        columns_(shared.columns),
        kernels_(lane_kernels<T>()) {
    if (columns_.empty()) {
      columns_.resize(weight.size(1));
      std::iota(columns_.begin(), columns_.end(), 0);
    }
    original_ = to_sweep_layout<T>(weight, columns_, shared.threads);
    if (shared.recipe.outliers.kind == OutlierKind::kLasso)
      outliers_ = lasso_outliers(weight, shared.recipe.outliers.rate);
  }

  // Groups fitted to the original weights, each weight by itself.   importance: (in) by file
  // column, or empty
  Rounded<T> round_to_nearest(const LinearRecipe& recipe,
                              const std::vector<double>& importance = {}) const {
    Rounded<T> rounded = start(recipe, /*static_groups=*/true);
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
    const bool zeroed = shared_.diagonal.usable;  // solve_linear zeroes dead columns only then
    GridContext<T> context{.grouping = task.grouping,
                           .out = out_,
                           .rows = original_.size(1),
                           .original = original_,
                           .pivots = pivots_of(task),
                           .dead = zeroed ? shared_.diagonal.dead : std::vector<int64_t>{},
                           .kernels = kernels_,
                           .outliers = outliers_ ? &*outliers_ : nullptr,
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
  int64_t out_;
  std::vector<int64_t> columns_;
  LaneKernels<T> kernels_;
  at::Tensor original_;                  // (in, rows)
  std::optional<OutlierMask> outliers_;  // decided before the sweep
};

// Row by row: one float32 sum over a whole matrix would lose the third digit.   x: (out, in)
double squared_norm(const at::Tensor& x) {
  return at::linalg_vector_norm(x, 2, at::IntArrayRef{1})
      .to(at::kDouble)
      .square()
      .sum()
      .template item<double>();
}

double ratio(double part, double whole) {
  return whole > 0 ? std::max(part, 0.0) / whole : 0;
}

// Losses of a result without compensation, which the sweep's own sum of e^2 does not describe.
// difference: |What - W0|^2
void measure(const SharedInput& shared, const at::Tensor& weight, double difference,
             LinearOutcome& outcome) {
  outcome.loss = difference / shared.tokens;
  outcome.relative_error = ratio(difference, squared_norm(weight));
  if (!shared.diagonal.usable) return;
  const double error = quadratic_form(
      weight - dequantize(outcome.quantized).to(weight.scalar_type()), shared.hessian);
  if (!std::isfinite(error))
    return;  // off-diagonal NaN: the distance of the weights is all there is to tell
  outcome.loss =
      (error + shared.recipe.objective.damping * shared.diagonal.reference * difference) /
      shared.tokens;
  outcome.relative_error = ratio(error, quadratic_form(weight, shared.hessian));
}

// The sweep at growing damping until its result stays near the original weights; false: it never
// did.
template <class T>
bool solve_compensated(const SharedInput& shared, const at::Tensor& weight, const LinearJob<T>& job,
                       const Rounded<T>& nearest, LinearOutcome& outcome) {
  DampedFactor factor = shared.factor;
  at::Tensor drift_matrix = shared.drift;
  const bool adds_up = shared.recipe.target.alpha == 0 && shared.recipe.target.alpha2 == 0 &&
                       !is_binary_parity(shared.recipe.grid);
  while (factor.upper.defined()) {
    const Rounded<T> rounded = job.compensate(factor.upper, drift_matrix, nearest);
    const double drift = std::sqrt(rounded.result.difference / nearest.result.difference);
    const double limit = kGreatestDrift * kGreatestDrift * nearest.result.difference;
    if (rounded.result.difference <= limit) {
      const double error = rounded.result.error / shared.diagonal.normalizer();
      const double ridge = factor.share * shared.diagonal.reference;
      outcome.quantized = job.finish(rounded);
      outcome.damping = factor.share;
      outcome.loss = error / shared.tokens;
      outcome.relative_error =
          ratio(error - ridge * rounded.result.difference, quadratic_form(weight, shared.hessian));
      if (!adds_up)  // the sum of e^2 is the loss of the plain target, fully compensated
        measure(shared, weight, rounded.result.difference, outcome);
      return true;
    }
    const double next = factor.share > 0 ? factor.share * 10 : 0.01;
    if (next > kGreatestDamping) return false;
    append(outcome.fallback,
           fmt::format("damping {:g} (weights moved {:.3g} times as far as by rounding to nearest)",
                       next, drift));
    factor = factor_with_ladder(shared.hessian, shared.diagonal, shared.columns, next);
    if (!factor.steps.empty()) append(outcome.fallback, factor.steps);
    drift_matrix = shared.drift_for(factor);
  }
  return false;
}

}  // namespace

at::Tensor SharedInput::drift_for(const DampedFactor& of) const {
  if (!recipe.target.needs_drift_matrix() || !moment.defined() || !of.upper.defined()) return {};
  return drift_matrix(moment, of.upper);
}

at::Tensor SharedInput::shift_of(const at::Tensor& weight) const {
  return weight_shift(weight, moment, factor.upper, columns);
}

template <class T>
LinearOutcome solve_linear(const SharedInput& shared, const at::Tensor& weight_in,
                           const at::Tensor& shift) {
  at::Tensor weight = weight_in;
  // before dead columns are zeroed: a dead column's row of D may hold something
  if (const double share = shared.recipe.target.preshift; share > 0 && shared.can_shift())
    weight = weight + (shift.defined() ? shift : shared.shift_of(weight)) * share;
  if (shared.diagonal.usable && !shared.diagonal.dead.empty()) {
    weight = weight.clone();
    weight.index_fill_(1, at::tensor(shared.diagonal.dead, at::kLong), 0);
  }
  LinearOutcome outcome;
  outcome.fallback = shared.factor.steps;
  const LinearJob<T> job(shared, weight);
  if (shared.factor.upper.defined()) {
    // with dynamic groups this grid serves only as a yardstick: no clip search
    LinearRecipe yardstick = shared.recipe;
    if (job.refits()) yardstick.grid.clip_search = false;
    yardstick.grid.mode = BinaryMode::kParity;  // of the binary searches the shortest
    yardstick.outliers = {};
    const Rounded<T> nearest = job.round_to_nearest(yardstick);
    if (solve_compensated(shared, weight, job, nearest, outcome)) return outcome;
  }
  std::vector<double> importance;
  if (shared.diagonal.usable) {
    if (shared.recipe.objective.kind != ObjectiveKind::kDiagonal)
      append(outcome.fallback, "diagonal Hessian, no compensation");
    for (const double value : shared.diagonal.values)
      importance.push_back(value / shared.diagonal.reference);
  } else if (shared.hessian.defined()) {
    append(outcome.fallback,
           "round to nearest (the Hessian's diagonal is zero, negative or not finite)");
  }
  const Rounded<T> rounded = job.round_to_nearest(shared.recipe, importance);
  outcome.quantized = job.finish(rounded);
  measure(shared, weight, rounded.result.difference, outcome);
  return outcome;
}
template LinearOutcome solve_linear<float>(const SharedInput&, const at::Tensor&,
                                           const at::Tensor&);
template LinearOutcome solve_linear<double>(const SharedInput&, const at::Tensor&,
                                            const at::Tensor&);

}  // namespace halftone
