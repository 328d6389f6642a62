#include "quantize/solve.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "quantize/linear_job.h"
#include "quantize/quadratic_form.h"
#include "quantize/target.h"
#include "quantize/tiles.h"

namespace halftone {
namespace {

constexpr double kGreatestDrift =
    4;  // |What - W0| over that of round-to-nearest (methods.md 7.6, step 6)
constexpr double kGreatestDamping = 10;  // times the reference diagonal
constexpr int64_t kComparedTiles = 2;    // of 16 rows, set against rounding to nearest

void append(std::string& steps, std::string_view step) {
  if (!steps.empty()) steps += "; ";
  steps += step;
}

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
  solved.energy = reported_quadratic_form(weight, shared.hessian);
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
                       !shared.recipe.grid.is_binary_parity();
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
      solved.energy = reported_quadratic_form(weight, shared.hessian);
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
    // where the sweep fits its own grid this one serves only as a yardstick: no clip search
    LinearRecipe yardstick = shared.recipe;
    if (!job.fits_original()) yardstick.grid.clip_search = false;
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

at::Tensor aimed_weight(const SharedInput& shared, const at::Tensor& original,
                        const at::Tensor& shift) {
  at::Tensor weight = original;
  // before dead columns are zeroed: a dead column's row of D may hold something
  if (const double share = shared.recipe.target.preshift; share > 0 && shared.shift)
    weight = weight + (shift.defined() ? shift : shared.shift->of(weight)) * share;
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
