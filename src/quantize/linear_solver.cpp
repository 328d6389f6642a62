#include "quantize/linear_solver.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cassert>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "quantize/auto_target.h"
#include "quantize/linear_rotation.h"
#include "quantize/scale_floor.h"
#include "quantize/solve_linear.h"
#include "quantize/weight_distribution.h"

namespace halftone {
namespace {

void require_weight(const at::Tensor& weight, const SharedInputs& inputs) {
  require(weight.defined() && weight.dim() == 2 && weight.numel() > 0,
          "weight: expected a matrix (out, in)");
  require(at::isFloatingType(weight.scalar_type()),
          "weight: expected floating-point numbers, not {}", at::toString(weight.scalar_type()));
  const at::Tensor& hessian = inputs.hessian();
  if (!hessian.defined()) return;
  require(weight.size(1) == hessian.size(-1),
          "weight: {} input columns, but the Hessian was gathered for {}", weight.size(1),
          hessian.size(-1));
  require(weight.size(0) >= inputs.runs(), "weight: {} rows, but Hessians for {} runs of them",
          weight.size(0), inputs.runs());
}

void require_finite(const at::Tensor& weight) {
  const auto [least, greatest] = at::aminmax(weight);  // NaN wins over everything
  require(std::isfinite(least.item<double>()) && std::isfinite(greatest.item<double>()),
          "weight: holds NaN or infinite values (damaged file, or float16 overflow on conversion)");
}

template <class T>
LinearOutcome solve(const SharedInputs& inputs, const LinearTask& task) {
  return task.target.automatic ? solve_best_target<T>(inputs, task) : solve_linear<T>(inputs, task);
}

}  // namespace

LinearSolver::LinearSolver(std::shared_ptr<const SharedInputs> inputs, const LinearRecipe& recipe)
    : inputs_(std::move(inputs)), recipe_(recipe) {}

LinearSolver::LinearSolver(const LinearStatistics& statistics, const LinearRecipe& recipe,
                           int threads)
    : LinearSolver(std::make_shared<const SharedInputs>(statistics, input_options(recipe), threads),
                   recipe) {}

LinearOutcome LinearSolver::quantize(const at::Tensor& weight,
                                     const at::Tensor& row_energies) const {
  at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor& hessian = inputs_->hessian();
  require_weight(weight, *inputs_);
  require(!row_energies.defined() || row_energies.numel() == weight.size(0),
          "statistics: {} row energies for a weight of {} rows", row_energies.numel(),
          weight.size(0));
  // float64 only where both sides are: what a file's float32 weights get is then one arithmetic
  // everywhere
  const bool exact = hessian.defined() && hessian.scalar_type() == at::kDouble &&
                     weight.scalar_type() == at::kDouble;
  const at::Tensor numbers = weight.to(exact ? at::kDouble : at::kFloat).contiguous();
  require_finite(numbers);
  const bool rotated = inputs_->options().rotated;
  const LinearRotation rotation =
      rotated ? rotation_of(numbers.size(0), numbers.size(1)) : LinearRotation{};
  const LinearTask task{.weight = rotated ? rotate(numbers, rotation) : numbers,
                        .grid = recipe_.grid,
                        .outliers = recipe_.outliers,
                        .target = recipe_.target,
                        .row_energies = row_energies};
  LinearOutcome outcome = exact ? solve<double>(*inputs_, task) : solve<float>(*inputs_, task);
  if (rotated) {
    outcome.quantized.trellis->rotation = rotation;
    outcome.quantized.dead_columns = inputs_->dead_inputs();
  }
  append_step(outcome.fallback, scale_floor(numbers, outcome.quantized, recipe_.grid));
  outcome.weight_divergence = weight_divergence(numbers, outcome.quantized);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace halftone
