#include "quantize/solve_linear.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "quantize/joined_rows.h"
#include "quantize/outliers/lasso.h"
#include "quantize/solve_rows.h"

namespace halftone {
namespace {

// What an error of each row counts for outliers, mean 1; empty: alike, which `note` explains where
// it was not asked for.   energies: (out) float64 or undefined
std::vector<double> outlier_weights(OutlierRanking ranking, const at::Tensor& energies,
                                    std::string& note) {
  if (ranking == OutlierRanking::kPlain) return {};
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

// What runs add up to; the loss as one of a token.
void add(const SolvedRows& run, double tokens, SolvedRows& sum) {
  sum.loss += run.loss / tokens;
  sum.error += run.error;
  sum.energy += run.energy;
  sum.sampled_error += run.sampled_error;
  sum.nearest_error += run.nearest_error;
  sum.damping = std::max(sum.damping, run.damping);
}

// Runs of a linear's rows: [first(i), first(i + 1)).
struct Runs {
  int64_t out, count;
  int64_t first(int64_t run) const { return first_row_of_group(out, count, run); }
  int64_t rows(int64_t run) const { return first(run + 1) - first(run); }
};

}  // namespace

template <class T>
LinearOutcome solve_linear(const SharedInputs& inputs, const LinearTask& task) {
  const Runs runs{task.weight.size(0), inputs.runs()};
  LinearOutcome outcome;
  const std::vector<double> counts =
      outlier_weights(task.outliers.ranking, task.row_energies, outcome.fallback);
  // the weights that each run is to come near; all at once where outliers are chosen among them
  const auto target = [&](const SharedInput& shared, int64_t run) {
    return target_weight(shared, task.target.preshift,
                         task.weight.narrow(0, runs.first(run), runs.rows(run)), task.shift);
  };
  std::optional<OutlierMask> mask;
  std::vector<at::Tensor> targets(static_cast<size_t>(runs.count));
  if (task.outliers.kind == OutlierKind::kLasso) {
    for (int64_t run = 0; run < runs.count; ++run) targets[run] = target(*inputs.run(run), run);
    mask = lasso_outliers(runs.count == 1 ? targets.front() : at::cat(targets), task.outliers.rate);
  }
  SolvedRows sum;
  std::vector<QuantizedLinear> quantized;
  for (int64_t run = 0; run < runs.count; ++run) {
    const std::shared_ptr<const SharedInput> shared = inputs.run(run);
    const int64_t first = runs.first(run), end = runs.first(run + 1);
    Rows rows{targets[run].defined() ? targets[run] : target(*shared, run)};
    if (!counts.empty()) rows.outlier_weights = {counts.begin() + first, counts.begin() + end};
    GridChoice choice{.grid = task.grid, .outliers = task.outliers};
    std::optional<OutlierMask> own;
    if (mask) own = {mask->members.narrow(0, first, end - first), mask->least};
    if (own) choice.mask = &*own;
    SolvedRows solved = solve_rows<T>(*shared, rows, choice, task.target);
    add(solved, shared->tokens, sum);
    if (runs.count > 1 && !solved.fallback.empty())
      solved.fallback = fmt::format("rows {} to {}: {}", first, end - 1, solved.fallback);
    append_step(outcome.fallback, solved.fallback);
    quantized.push_back(std::move(solved.quantized));
  }
  outcome.quantized = joined_rows(std::move(quantized));
  outcome.loss = sum.loss;
  outcome.damping = sum.damping;
  outcome.relative_error = ratio(sum.error, sum.energy);
  outcome.energy = sum.energy;
  if (std::isfinite(sum.sampled_error) && std::isfinite(sum.nearest_error))
    outcome.loss_ratio_to_rtn = ratio(sum.sampled_error, sum.nearest_error);
  return outcome;
}
template LinearOutcome solve_linear<float>(const SharedInputs&, const LinearTask&);
template LinearOutcome solve_linear<double>(const SharedInputs&, const LinearTask&);

}  // namespace halftone
