#include "quantize/solve_rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "matrix/quadratic_form.h"
#include "quantize/linear_outcome.h"
#include "quantize/rounding.h"
#include "quantize/tiles.h"

namespace halftone {
namespace {

constexpr double kGreatestDrift =
    4;  // |What - W0| over that of round-to-nearest (methods.md 7.6, step 6)
constexpr double kGreatestDamping = 10;  // times the reference diagonal
constexpr int64_t kComparedTiles = 2;    // of 16 rows, set against rounding to nearest

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
  solved.loss = error + shared.options.objective.damping * shared.diagonal.reference * difference;
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
void compare_to_nearest(const SharedInput& shared, const Rows& rows, const GridChoice& choice,
                        SolvedRows& solved) {
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
  const Rows sample{rows_of(rows.weight)};
  std::optional<OutlierMask> kept;  // by now decided, however it came about
  if (choice.mask != nullptr) kept = {rows_of(choice.mask->members), choice.mask->least};
  if (solved.quantized.outliers)
    kept = {sampled([&](int64_t row, int64_t count) {
              return kept_weights(solved.quantized, row, count);
            }),
            0};
  const GridChoice plain{.grid = choice.grid, .mask = kept ? &*kept : nullptr};
  const Rounding<T> rounding(shared, sample, plain);
  const QuantizedLinear nearest =
      rounding.finish(rounding.round_to_nearest(plain, {}, /*static_groups=*/!rounding.refits()));
  const at::Tensor found = sampled(
      [&](int64_t row, int64_t count) { return dequantize_rows(solved.quantized, row, count); });
  const auto error_of = [&](const at::Tensor& values) {
    return quadratic_form(sample.weight - values.to(sample.weight.scalar_type()), shared.hessian);
  };
  solved.sampled_error = error_of(found);
  solved.nearest_error = error_of(dequantize(nearest));
}

template <class T>
struct Compensation {
  const TargetOptions& target;
  const Rounded<T>& nearest;  // what a result may not be too far from
  // The sweep's sum of e^2 is the loss: of the plain target, fully compensated.
  bool adds_up;
};

// The sweep at growing damping until its result stays near the original weights; false: it never
// did.
template <class T>
bool solve_compensated(const SharedInput& shared, const at::Tensor& weight,
                       const Rounding<T>& rounding, const Compensation<T>& with,
                       SolvedRows& solved) {
  const TargetOptions& target = with.target;
  const Rounded<T>& nearest = with.nearest;
  DampedFactor factor = shared.factor;
  at::Tensor drift_matrix = target.needs_drift_matrix() ? shared.drift : at::Tensor();
  while (factor.upper.defined()) {
    const Rounded<T> rounded = rounding.compensate(target, factor.upper, drift_matrix, nearest);
    const double drift = std::sqrt(rounded.result.difference / nearest.result.difference);
    const double limit = kGreatestDrift * kGreatestDrift * nearest.result.difference;
    if (rounded.result.difference <= limit) {
      const double ridge = factor.share * shared.diagonal.reference;
      solved.quantized = rounding.finish(rounded);
      solved.damping = factor.share;
      if (!with.adds_up) {
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
    append_step(
        solved.fallback,
        fmt::format("damping {:g} (weights moved {:.3g} times as far as by rounding to nearest)",
                    next, drift));
    factor = factor_with_ladder(shared.hessian, shared.diagonal, shared.columns, next);
    if (!factor.steps.empty()) append_step(solved.fallback, factor.steps);
    if (target.needs_drift_matrix()) drift_matrix = shared.drift_for(factor);
  }
  return false;
}

// With compensation where the numbers allow it, else without.
template <class T>
SolvedRows compensated_or_not(const SharedInput& shared, const Rows& rows, const GridChoice& choice,
                              const TargetOptions& target) {
  SolvedRows solved;
  solved.fallback = shared.factor.steps;
  const Rounding<T> rounding(shared, rows, choice);
  if (shared.factor.upper.defined()) {
    const Rounded<T> nearest = rounding.baseline(target);
    const bool adds_up = target.alpha == 0 && target.alpha2 == 0 && !choice.grid.is_binary_parity();
    if (solve_compensated(shared, rows.weight, rounding, Compensation<T>{target, nearest, adds_up},
                          solved))
      return solved;
  }
  std::vector<double> importance;
  if (shared.diagonal.usable) {
    if (!shared.options.objective.is_diagonal())
      append_step(solved.fallback, "diagonal Hessian, no compensation");
    for (const double value : shared.diagonal.values)
      importance.push_back(value / shared.diagonal.reference);
  } else if (shared.hessian.defined()) {
    append_step(solved.fallback,
                "round to nearest (the Hessian's diagonal is zero, negative or not finite)");
  }
  const Rounded<T> rounded = rounding.round_to_nearest(choice, importance);
  solved.quantized = rounding.finish(rounded);
  measure(shared, rows.weight, rounded.result.difference, solved);
  return solved;
}

}  // namespace

at::Tensor target_weight(const SharedInput& shared, double preshift, const at::Tensor& original,
                         const at::Tensor& shift) {
  at::Tensor weight = original;
  // before dead columns are zeroed: a dead column's row of D may hold something
  if (preshift > 0 && shared.shift)
    weight = weight + (shift.defined() ? shift : shared.shift->of(weight)) * preshift;
  if (shared.diagonal.usable && !shared.diagonal.dead.empty()) {
    weight = weight.clone();
    weight.index_fill_(1, at::tensor(shared.diagonal.dead, at::kLong), 0);
  }
  return weight;
}

template <class T>
SolvedRows solve_rows(const SharedInput& shared, const Rows& rows, const GridChoice& choice,
                      const TargetOptions& target) {
  SolvedRows solved = compensated_or_not<T>(shared, rows, choice, target);
  compare_to_nearest<T>(shared, rows, choice, solved);
  return solved;
}
template SolvedRows solve_rows<float>(const SharedInput&, const Rows&, const GridChoice&,
                                      const TargetOptions&);
template SolvedRows solve_rows<double>(const SharedInput&, const Rows&, const GridChoice&,
                                       const TargetOptions&);

}  // namespace halftone
