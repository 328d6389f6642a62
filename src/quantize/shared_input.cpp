#include "quantize/shared_input.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "quantize/linear_rotation.h"
#include "quantize/order.h"

namespace halftone {
namespace {

constexpr int64_t kDoubleInputs = 2048;  // up to here P is formed in float64 (methods.md 7.4)

void require_streams(const TargetOptions& target, const LinearStatistics& statistics) {
  require(!target.needs_original_stream() || statistics.cross_moment.defined(),
          "target: alpha and preshift need the full-precision stream, but the statistics hold no "
          "cross moment");
  require(!target.automatic || statistics.held_out.has_value(),
          "target.auto needs calibration windows that were held out, but the statistics hold none");
}

void require_hessian(const at::Tensor& hessian) {
  require(hessian.defined(),
          "objective.kind: a Hessian is asked for, but the statistics hold none");
  require((hessian.dim() == 2 || hessian.dim() == 3) && hessian.size(-2) == hessian.size(-1) &&
              hessian.numel() > 0,
          "statistics: expected a square Hessian, or one for each run of rows, not one of {} "
          "dimensions",
          hessian.dim());
  require(hessian.scalar_type() == at::kFloat || hessian.scalar_type() == at::kDouble,
          "statistics: expected a Hessian in float32 or float64, not {}",
          at::toString(hessian.scalar_type()));
}

// hessian: (in, in) or (runs, in, in) or undefined
int64_t runs_of(const at::Tensor& hessian) {
  return hessian.defined() && hessian.dim() == 3 ? hessian.size(0) : 1;
}

// What the target makes of D: the shift, and D in sweep order with P, in float64 where the factor
// is.
// moment: (in, in) or undefined
void prepare_drift(const at::Tensor& moment, SharedInput& shared) {
  const TargetOptions& target = shared.options.target;
  const bool plain = target == TargetOptions{};
  if (plain || !moment.defined() || !shared.factor.upper.defined()) return;
  require(moment.sizes() == shared.hessian.sizes(),
          "statistics: the cross moment and the Hessian differ in shape");
  const at::ScalarType type = shared.hessian.scalar_type();
  const auto ordered = [&](at::ScalarType wanted) {
    return ordered_cross_moment(moment, shared.diagonal, shared.columns, wanted);
  };
  if (target.preshift != 0 || target.automatic)
    shared.shift =
        std::make_shared<const WeightShift>(ordered(type), shared.factor.upper, shared.columns);
  if (!target.needs_drift_matrix()) return;
  shared.moment = ordered(moment.size(0) <= kDoubleInputs ? at::kDouble : type);
  shared.drift = shared.drift_for(shared.factor).to(type);
}

// Of a run: matrices that all rows share, or its own.   all: (in, in), (runs, in, in), undefined
at::Tensor of_run(const at::Tensor& all, int64_t run) {
  return all.defined() && all.dim() == 3 ? all[run] : all;
}

}  // namespace

InputOptions input_options(const LinearRecipe& recipe) {
  return {recipe.objective, recipe.target, recipe.order, recipe.grid.rotates_linear()};
}

at::Tensor SharedInput::drift_for(const DampedFactor& of) const {
  if (!moment.defined() || !of.upper.defined()) return {};
  return drift_matrix(moment, of.upper);
}

SharedInputs::SharedInputs(LinearStatistics statistics, const InputOptions& options, int threads)
    : statistics_(std::move(statistics)),
      calibrated_(statistics_.hessian),
      options_(options),
      threads_(threads),
      runs_(runs_of(statistics_.hessian)) {
  at::NoGradGuard no_grad;
  require(threads >= 1, "threads: expected 1 or more, not {}", threads);
  require_streams(options.target, statistics_);
  if (options.objective.kind != ObjectiveKind::kNone) {
    require_hessian(statistics_.hessian);
    if (options.rotated) rotate_inputs();
    agree_on_columns();
  }
  if (runs_ == 1) alone_ = std::make_shared<const SharedInput>(make(0));
}

std::shared_ptr<const SharedInput> SharedInputs::run(int64_t index) const {
  return alone_ ? alone_ : std::make_shared<const SharedInput>(make(index));
}

void SharedInputs::rotate_inputs() {
  require(runs_ == 1, "statistics: a rotated linear has one Hessian, not {}", runs_);
  const at::Tensor dead = of_run(calibrated_, 0).diagonal().eq(0).nonzero();
  if (dead.numel() > 0) dead_inputs_ = dead.flatten().to(at::kInt);
  const auto rotate = [](at::Tensor& moment) {
    if (moment.defined()) moment = rotate_moment(of_run(moment, 0));
  };
  rotate(statistics_.hessian);
  rotate(statistics_.cross_moment);
  if (!statistics_.held_out) return;
  rotate(statistics_.held_out->hessian);
  rotate(statistics_.held_out->cross_moment);
  rotate(statistics_.held_out->drift);
}

void SharedInputs::agree_on_columns() {
  std::vector<double> sums;
  std::vector<int64_t> dead;
  for (int64_t run = 0; run < runs_; ++run) {
    diagonals_.push_back(
        diagonal_of(of_run(statistics_.hessian, run), options_.objective.damping_reference));
    const HessianDiagonal& own = diagonals_.back();
    sums.resize(own.values.size());
    for (size_t column = 0; column < sums.size(); ++column) sums[column] += own.values[column];
    std::vector<int64_t> both;
    std::set_intersection(dead.begin(), dead.end(), own.dead.begin(), own.dead.end(),
                          std::back_inserter(both));
    dead = run == 0 ? own.dead : both;
  }
  for (HessianDiagonal& own : diagonals_) own.dead = dead;
  columns_ = column_order(options_.order.kind, sums);
}

SharedInput SharedInputs::make(int64_t run) const {
  SharedInput shared;
  shared.options = options_;
  shared.threads = threads_;
  shared.tokens = static_cast<double>(std::max<int64_t>(1, statistics_.tokens));
  if (diagonals_.empty()) return shared;
  shared.hessian = of_run(statistics_.hessian, run);
  shared.diagonal = diagonals_[static_cast<size_t>(run)];
  shared.columns = columns_;
  if (shared.diagonal.usable && !options_.objective.is_diagonal())
    shared.factor = factor_with_ladder(shared.hessian, shared.diagonal, shared.columns,
                                       options_.objective.damping);
  prepare_drift(of_run(statistics_.cross_moment, run), shared);
  if (options_.target.automatic) shared.held_out = statistics_.held_out;
  return shared;
}

}  // namespace halftone
