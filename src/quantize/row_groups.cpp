#include "quantize/row_groups.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "base/error.h"
#include "quantize/auto_target.h"
#include "quantize/order.h"
#include "quantize/outliers/lasso.h"
#include "quantize/target.h"

namespace halftone {
namespace {

constexpr int64_t kDoubleInputs = 2048;  // up to here P is formed in float64 (methods.md 7.4)

// What the recipe's target makes of D: the shift, and D in sweep order with P, in float64 where the
// factor is.
// moment: (in, in) or undefined
void prepare_drift(const at::Tensor& moment, SharedInput& shared) {
  const bool plain = shared.recipe.target == TargetOptions{};
  if (plain || !moment.defined() || !shared.factor.upper.defined()) return;
  require(moment.sizes() == shared.hessian.sizes(),
          "statistics: the cross moment and the Hessian differ in shape");
  const at::ScalarType type = shared.hessian.scalar_type();
  const auto ordered = [&](at::ScalarType wanted) {
    return ordered_cross_moment(moment, shared.diagonal, shared.columns, wanted);
  };
  if (shared.recipe.target.preshift != 0 || shared.recipe.target.automatic)
    shared.shift =
        std::make_shared<const WeightShift>(ordered(type), shared.factor.upper, shared.columns);
  if (!shared.recipe.target.needs_drift_matrix()) return;
  shared.moment = ordered(moment.size(0) <= kDoubleInputs ? at::kDouble : type);
  shared.drift = shared.drift_for(shared.factor).to(type);
}

// Of a run: matrices that all rows share, or its own.   all: (in, in), (groups, in, in), undefined
at::Tensor of_group(const at::Tensor& all, int64_t group) {
  return all.defined() && all.dim() == 3 ? all[group] : all;
}

// What an error of each row counts for outliers, mean 1; empty: alike, which `note` explains where
// it was not asked for.   energies: (out) float64 or undefined
std::vector<double> outlier_weights(const LinearRecipe& recipe, const at::Tensor& energies,
                                    std::string& note) {
  if (recipe.outliers.ranking == OutlierRanking::kPlain) return {};
  const double mean = energies.defined() ? energies.mean().item<double>() : 0;
  if (!(mean > 0 && std::isfinite(mean))) {
    note = "outliers ranked alike in all rows (no row has any energy)";
    return {};
  }
  const at::Tensor weights = (energies.to(at::kDouble) / mean).contiguous();
  return {weights.const_data_ptr<double>(), weights.const_data_ptr<double>() + weights.numel()};
}

double ratio(double part, double whole) {
  return whole > 0 ? std::max(part, 0.0) / whole : 0;
}

void append(std::string& steps, const std::string& step) {
  if (!steps.empty() && !step.empty()) steps += "; ";
  steps += step;
}

at::Tensor below_each_other(const std::vector<QuantizedLinear>& runs, auto&& tensor_of) {
  std::vector<at::Tensor> parts;
  for (const QuantizedLinear& run : runs) parts.push_back(tensor_of(run));
  return at::cat(parts);
}

SecondLevel joined_level(const std::vector<QuantizedLinear>& runs, auto&& level_of) {
  const auto all = [&](auto&& member) {
    return below_each_other(runs,
                            [&](const QuantizedLinear& run) { return level_of(run).*member; });
  };
  return {level_of(runs.front()).bits, all(&SecondLevel::codes), all(&SecondLevel::steps),
          all(&SecondLevel::zeros)};
}

Outliers joined_outliers(const std::vector<QuantizedLinear>& runs) {
  std::vector<at::Tensor> starts = {at::zeros({1}, at::kLong)};
  int64_t before = 0;
  for (const QuantizedLinear& run : runs) {
    starts.push_back(run.outliers->row_starts.narrow(0, 1, run.out()) + before);
    before += run.outliers->count();
  }
  const auto all = [&](auto&& member) {
    return below_each_other(runs,
                            [&](const QuantizedLinear& run) { return (*run.outliers).*member; });
  };
  return {at::cat(starts), all(&Outliers::columns), all(&Outliers::values)};
}

// What runs add up to; the loss as one of a token.
void add(const SolvedRows& run, double tokens, SolvedRows& sum) {
  sum.loss += run.loss / tokens;
  sum.error += run.error;
  sum.energy += run.energy;
  sum.sampled_error += run.sampled_error;
  sum.nearest_error += run.nearest_error;
  sum.damping = std::max(sum.damping, run.damping);
}

// A linear in runs.
struct Runs {
  const LinearRecipe& recipe;
  int64_t groups;
  // What a run's rows share; made anew each time it is asked for, unless it is the only one.
  std::function<std::shared_ptr<const SharedInput>(int64_t group)> input;
  at::Tensor weight, row_energies, shift = {};  // as in solve_linear
};

template <class T>
LinearOutcome solve_runs(const Runs& of) {
  const LinearRecipe& recipe = of.recipe;
  const int64_t groups = of.groups, out = of.weight.size(0);
  LinearOutcome outcome;
  const std::vector<double> counts = outlier_weights(recipe, of.row_energies, outcome.fallback);
  const auto first_of = [&](int64_t group) { return first_row_of_group(out, groups, group); };
  // the weights that each run aims at; all at once where outliers are chosen among them
  const auto aim = [&](const SharedInput& shared, int64_t group) {
    const int64_t first = first_of(group);
    return aimed_weight(shared, of.weight.narrow(0, first, first_of(group + 1) - first), of.shift);
  };
  std::optional<OutlierMask> mask;
  std::vector<at::Tensor> aimed(static_cast<size_t>(groups));
  if (recipe.outliers.kind == OutlierKind::kLasso) {
    for (int64_t group = 0; group < groups; ++group) aimed[group] = aim(*of.input(group), group);
    mask = lasso_outliers(groups == 1 ? aimed.front() : at::cat(aimed), recipe.outliers.rate);
  }
  SolvedRows sum;
  std::vector<QuantizedLinear> runs;
  for (int64_t group = 0; group < groups; ++group) {
    const std::shared_ptr<const SharedInput> shared = of.input(group);
    const int64_t first = first_of(group), end = first_of(group + 1);
    Rows rows{aimed[group].defined() ? aimed[group] : aim(*shared, group)};
    if (mask) rows.outliers = {mask->members.narrow(0, first, end - first), mask->least};
    if (!counts.empty()) rows.outlier_weights = {counts.begin() + first, counts.begin() + end};
    SolvedRows solved = solve_rows<T>(*shared, rows);
    add(solved, shared->tokens, sum);
    if (groups > 1 && !solved.fallback.empty())
      solved.fallback = fmt::format("rows {} to {}: {}", first, end - 1, solved.fallback);
    append(outcome.fallback, solved.fallback);
    runs.push_back(std::move(solved.quantized));
  }
  outcome.quantized = joined(std::move(runs));
  outcome.loss = sum.loss;
  outcome.damping = sum.damping;
  outcome.relative_error = ratio(sum.error, sum.energy);
  if (std::isfinite(sum.sampled_error) && std::isfinite(sum.nearest_error))
    outcome.loss_ratio_to_rtn = ratio(sum.sampled_error, sum.nearest_error);
  return outcome;
}

}  // namespace

int64_t row_groups_of(const at::Tensor& hessian) {
  return hessian.defined() && hessian.dim() == 3 ? hessian.size(0) : 1;
}

RowGroups::RowGroups(LinearStatistics statistics, const LinearRecipe& recipe, int threads)
    : statistics_(std::move(statistics)),
      recipe_(recipe),
      threads_(threads),
      groups_(row_groups_of(statistics_.hessian)) {
  if (recipe.objective.kind != ObjectiveKind::kNone) agree_on_columns();
  if (groups_ == 1) alone_ = std::make_shared<const SharedInput>(input_of(0));
}

void RowGroups::agree_on_columns() {
  std::vector<double> sums;
  std::vector<int64_t> dead;
  for (int64_t group = 0; group < groups_; ++group) {
    diagonals_.push_back(
        diagonal_of(of_group(statistics_.hessian, group), recipe_.objective.damping_reference));
    const HessianDiagonal& own = diagonals_.back();
    sums.resize(own.values.size());
    for (size_t column = 0; column < sums.size(); ++column) sums[column] += own.values[column];
    std::vector<int64_t> both;
    std::set_intersection(dead.begin(), dead.end(), own.dead.begin(), own.dead.end(),
                          std::back_inserter(both));
    dead = group == 0 ? own.dead : both;
  }
  for (HessianDiagonal& own : diagonals_) own.dead = dead;
  columns_ = column_order(recipe_.order.kind, sums);
}

SharedInput RowGroups::input_of(int64_t group) const {
  SharedInput shared;
  shared.recipe = recipe_;
  shared.threads = threads_;
  shared.tokens = static_cast<double>(std::max<int64_t>(1, statistics_.tokens));
  if (diagonals_.empty()) return shared;
  shared.hessian = of_group(statistics_.hessian, group);
  shared.diagonal = diagonals_[static_cast<size_t>(group)];
  shared.columns = columns_;
  if (shared.diagonal.usable && recipe_.objective.kind != ObjectiveKind::kDiagonal)
    shared.factor = factor_with_ladder(shared.hessian, shared.diagonal, shared.columns,
                                       recipe_.objective.damping);
  prepare_drift(of_group(statistics_.cross_moment, group), shared);
  if (recipe_.target.automatic) shared.held_out = statistics_.held_out;
  return shared;
}

template <class T>
LinearOutcome RowGroups::solve(const at::Tensor& weight, const at::Tensor& row_energies) const {
  if (alone_ && alone_->held_out) return solve_best_target<T>(*alone_, weight);
  if (alone_) return solve_linear<T>(*alone_, weight, row_energies);
  const auto input = [this](int64_t group) {
    return std::make_shared<const SharedInput>(input_of(group));
  };
  return solve_runs<T>({recipe_, groups_, input, weight, row_energies});
}
template LinearOutcome RowGroups::solve<float>(const at::Tensor&, const at::Tensor&) const;
template LinearOutcome RowGroups::solve<double>(const at::Tensor&, const at::Tensor&) const;

template <class T>
LinearOutcome solve_linear(const SharedInput& shared, const at::Tensor& weight,
                           const at::Tensor& row_energies, const at::Tensor& shift) {
  const std::shared_ptr<const SharedInput> alone(std::shared_ptr<void>(), &shared);
  const auto input = [&](int64_t) { return alone; };
  return solve_runs<T>({shared.recipe, 1, input, weight, row_energies, shift});
}
template LinearOutcome solve_linear<float>(const SharedInput&, const at::Tensor&, const at::Tensor&,
                                           const at::Tensor&);
template LinearOutcome solve_linear<double>(const SharedInput&, const at::Tensor&,
                                            const at::Tensor&, const at::Tensor&);

QuantizedLinear joined(std::vector<QuantizedLinear> runs) {
  QuantizedLinear linear = runs.front();
  if (runs.size() == 1) return linear;
  const auto all = [&](auto&& member) {
    return below_each_other(runs, [&](const QuantizedLinear& run) { return run.*member; });
  };
  linear.codes = all(&QuantizedLinear::codes);
  linear.scales = all(&QuantizedLinear::scales);
  linear.zeros = all(&QuantizedLinear::zeros);
  // a run that had to do without its Hessian knows of no dead columns
  for (const QuantizedLinear& run : runs)
    if (!linear.dead_columns.defined()) linear.dead_columns = run.dead_columns;
  if (linear.outliers) linear.outliers = joined_outliers(runs);
  if (linear.bilevel) {
    linear.bilevel->scales = joined_level(
        runs, [](const QuantizedLinear& run) -> auto& { return run.bilevel->scales; });
    if (linear.bilevel->zeros)
      linear.bilevel->zeros = joined_level(
          runs, [](const QuantizedLinear& run) -> auto& { return *run.bilevel->zeros; });
  }
  if (linear.split) {
    const auto of_split = [&](auto&& member) {
      return below_each_other(runs,
                              [&](const QuantizedLinear& run) { return (*run.split).*member; });
    };
    linear.split->members = of_split(&SplitOutliers::members);
    linear.split->scales = of_split(&SplitOutliers::scales);
    linear.split->zeros = of_split(&SplitOutliers::zeros);
  }
  return linear;
}

}  // namespace halftone
