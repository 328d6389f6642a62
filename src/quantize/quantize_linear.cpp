#include "quantize/quantize_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "quantize/row_groups.h"
#include "quantize/scale_floor.h"
#include "quantize/weight_distribution.h"

namespace halftone {
namespace {

void require_threads(int threads) {
  require(threads >= 1, "threads: expected 1 or more, not {}", threads);
}

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

void require_weight(const at::Tensor& weight, const at::Tensor& hessian) {
  require(weight.defined() && weight.dim() == 2 && weight.numel() > 0,
          "weight: expected a matrix (out, in)");
  require(at::isFloatingType(weight.scalar_type()),
          "weight: expected floating-point numbers, not {}", at::toString(weight.scalar_type()));
  if (!hessian.defined()) return;
  require(weight.size(1) == hessian.size(-1),
          "weight: {} input columns, but the Hessian was gathered for {}", weight.size(1),
          hessian.size(-1));
  require(weight.size(0) >= row_groups_of(hessian),
          "weight: {} rows, but Hessians for {} runs of them", weight.size(0),
          row_groups_of(hessian));
}

void require_finite(const at::Tensor& weight) {
  const auto [least, greatest] = at::aminmax(weight);  // NaN wins over everything
  require(std::isfinite(least.item<double>()) && std::isfinite(greatest.item<double>()),
          "weight: holds NaN or infinite values (damaged file, or float16 overflow on conversion)");
}

}  // namespace

struct LinearSolver::Prepared : RowGroups {
  using RowGroups::RowGroups;
};

LinearSolver::LinearSolver(const LinearStatistics& statistics, const LinearRecipe& recipe,
                           int threads) {
  at::NoGradGuard no_grad;
  require_threads(threads);
  require_streams(recipe.target, statistics);
  if (recipe.objective.kind != ObjectiveKind::kNone) require_hessian(statistics.hessian);
  prepared_ = std::make_unique<const Prepared>(statistics, recipe, threads);
}

LinearSolver::~LinearSolver() = default;

LinearOutcome LinearSolver::quantize(const at::Tensor& weight,
                                     const at::Tensor& row_energies) const {
  at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor& hessian = prepared_->hessian();
  require_weight(weight, hessian);
  require(!row_energies.defined() || row_energies.numel() == weight.size(0),
          "statistics: {} row energies for a weight of {} rows", row_energies.numel(),
          weight.size(0));
  // float64 only where both sides are: what a file's float32 weights get is then one arithmetic
  // everywhere
  const bool exact = hessian.defined() && hessian.scalar_type() == at::kDouble &&
                     weight.scalar_type() == at::kDouble;
  const at::Tensor numbers = weight.to(exact ? at::kDouble : at::kFloat).contiguous();
  require_finite(numbers);
  LinearOutcome outcome = exact ? prepared_->solve<double>(numbers, row_energies)
                                : prepared_->solve<float>(numbers, row_energies);
  outcome.weight_divergence = weight_divergence(numbers, outcome.quantized);
  const std::string floor = scale_floor(numbers, outcome.quantized, prepared_->recipe().grid);
  if (!floor.empty()) outcome.fallback += (outcome.fallback.empty() ? "" : "; ") + floor;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace halftone
