#include "quantize/quantize_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "kernels/lane_kernels.h"
#include "quantize/auto_target.h"
#include "quantize/order.h"
#include "quantize/solve.h"
#include "quantize/target.h"
#include "quantize/weight_distribution.h"

namespace halftone {
namespace {

constexpr int64_t kDoubleInputs = 2048;  // up to here P is formed in float64 (METHODS 7.4)

void require_binary(const LinearRecipe& recipe) {
  const GridOptions& grid = recipe.grid;
  require(grid.bits == 1, "grid.bits: expected 1 with grid.kind = binary, not {}", grid.bits);
  require(recipe.order.kind == OrderKind::kNatural,
          "order.kind: expected natural with grid.kind = binary, whose blocks are runs of the "
          "file's columns");
  require(recipe.outliers.kind == OutlierKind::kNone,
          "outliers.kind: expected none with grid.kind = binary, which has its salient columns");
  require(!grid.symmetric,
          "grid.symmetric: expected false with grid.kind = binary, which stores means");
  require(grid.scale_bits == -1 || grid.scale_bits == 0 || grid.scale_bits == 11,
          "grid.scale_bits: expected 11 (float16; -1 means the same) or 0 (float32) with "
          "grid.kind = binary, not {}",
          grid.scale_bits);
  require(
      grid.mode != BinaryMode::kParity || (recipe.target.alpha == 0 && recipe.target.alpha2 == 0),
      "grid.mode: parity copies a code that knows no target.alpha and target.alpha2; set both "
      "to 0");
}

void require_bilevel(const GridOptions& grid) {
  const auto codes = [](const char* key, int bits) {
    require(bits >= 1 && bits <= 8, "{}: expected 1 to 8, not {}", key, bits);
  };
  codes("grid.qq_scale_bits", grid.scale_code_bits);
  codes("grid.qq_zero_bits", grid.zero_code_bits);
  require(grid.run_size >= 1 && kLanes % grid.run_size == 0,
          "grid.qq_groupsize: expected a divisor of {}, not {}", kLanes, grid.run_size);
  require(!grid.clip_search, "grid.clip_search: a bilevel grid has no clip search");
  require(grid.scale_bits == -1 || grid.scale_bits == 11,
          "grid.scale_bits: a bilevel grid stores float16 numbers: expected -1 or 11, not {}",
          grid.scale_bits);
}

void require_outliers(const OutlierOptions& outliers) {
  if (outliers.kind == OutlierKind::kNone) return;
  require(outliers.threshold > 0 && std::isfinite(outliers.threshold),
          "outliers.tau: expected above 0, not {}", outliers.threshold);
  const bool all = outliers.kind == OutlierKind::kLasso;
  require(outliers.rate >= 0 && (all ? outliers.rate <= 1 : outliers.rate < 1),
          "outliers.rate: expected a share from 0 {}, not {}", all ? "to 1" : "(by tau) to below 1",
          outliers.rate);
}

void require_automatic(const LinearRecipe& recipe) {
  const TargetOptions& target = recipe.target;
  if (!target.automatic) return;
  require(target.alpha == 0 && target.alpha2 == 0 && target.preshift == 0,
          "target.auto chooses alpha, alpha2 and preshift itself: expected 0, 0, 0 beside it, not "
          "{}, {}, {}",
          target.alpha, target.alpha2, target.preshift);
  require(target.parity == TargetParity::kNone,
          "target.parity with target.auto: the published codes choose no target");
  require(recipe.grid.kind != GridKind::kBinary || recipe.grid.mode != BinaryMode::kParity,
          "grid.mode: parity copies a code that knows no targets; set target.auto = false");
}

void require_parity(const LinearRecipe& recipe) {
  const TargetOptions& target = recipe.target;
  if (target.parity == TargetParity::kNone) return;
  require(target.alpha != 0 || target.alpha2 != 0,
          "target.parity is about target.alpha and target.alpha2, but both are 0");
  require(target.parity != TargetParity::kClamped || (recipe.grid.kind == GridKind::kUniform &&
                                                      recipe.outliers.kind == OutlierKind::kNone),
          "target.parity = allw clamps weights to a grid's range: expected grid.kind = uniform "
          "and outliers.kind = none");
}

void require_target(const LinearRecipe& recipe) {
  const TargetOptions& target = recipe.target;
  require(
      target.preshift == 0 || target.alpha == 0,
      "target.preshift {} with target.alpha {}: both correct the same drift; set one of them to 0",
      target.preshift, target.alpha);
  require(!target.needs_original_stream() || recipe.objective.kind != ObjectiveKind::kNone,
          "target: alpha, preshift and auto need an objective (objective.kind is none: nothing is "
          "compensated)");
  require(target == TargetOptions{} || recipe.objective.kind != ObjectiveKind::kDiagonal,
          "target: objective.kind = diagonal compensates nothing, so there is nothing to aim at");
  require_automatic(recipe);
  require_parity(recipe);
}

void require_threads(int threads) {
  require(threads >= 1, "threads: expected 1 or more, not {}", threads);
}

}  // namespace

void require_options(const LinearRecipe& recipe) {
  const GridOptions& grid = recipe.grid;
  const double damping = recipe.objective.damping;
  if (grid.kind == GridKind::kBinary)
    require_binary(recipe);
  else
    require(grid.bits >= 2 && grid.bits <= 8, "grid.bits: expected 2 to 8, not {}", grid.bits);
  require(grid.group_size >= 0, "grid.group_size: expected 0 (the whole row) or more, not {}",
          grid.group_size);
  require(grid.clip_norm > 0 && grid.clip_norm <= 16,
          "grid.clip_norm: expected above 0, up to 16, not {}", grid.clip_norm);
  require(grid.zero_min == 0 || grid.zero_min == 1, "grid.zero_min: expected 0 or 1, not {}",
          grid.zero_min);
  require(grid.scale_bits >= -1 && grid.scale_bits <= 24,
          "grid.scale_bits: expected -1 (by bit width), 0 (unrounded) or up to 24, not {}",
          grid.scale_bits);
  require(std::isfinite(damping) && damping >= 0, "objective.damping: expected 0 or more, not {}",
          damping);
  if (grid.kind == GridKind::kBilevel) require_bilevel(grid);
  require(grid.kind != GridKind::kSplit || recipe.outliers.kind == OutlierKind::kLasso,
          "grid.kind: split needs outliers.kind = lasso, which says what the outliers are");
  require_outliers(recipe.outliers);
  require_target(recipe);
}

namespace {

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
  require(hessian.dim() == 2 && hessian.size(0) == hessian.size(1) && hessian.size(0) > 0,
          "statistics: expected a square Hessian, not one of {} dimensions", hessian.dim());
  require(hessian.scalar_type() == at::kFloat || hessian.scalar_type() == at::kDouble,
          "statistics: expected a Hessian in float32 or float64, not {}",
          at::toString(hessian.scalar_type()));
}

void require_weight(const at::Tensor& weight, const at::Tensor& hessian) {
  require(weight.defined() && weight.dim() == 2 && weight.numel() > 0,
          "weight: expected a matrix (out, in)");
  require(at::isFloatingType(weight.scalar_type()),
          "weight: expected floating-point numbers, not {}", at::toString(weight.scalar_type()));
  require(!hessian.defined() || weight.size(1) == hessian.size(0),
          "weight: {} input columns, but the Hessian was gathered for {}", weight.size(1),
          hessian.defined() ? hessian.size(0) : 0);
}

void require_finite(const at::Tensor& weight) {
  const auto [least, greatest] = at::aminmax(weight);  // NaN wins over everything
  require(std::isfinite(least.item<double>()) && std::isfinite(greatest.item<double>()),
          "weight: holds NaN or infinite values (damaged file, or float16 overflow on conversion)");
}

}  // namespace

struct LinearSolver::Prepared : SharedInput {};

namespace {

// D in sweep order and P, where the recipe's target uses them; in float64 where the factor is.
void prepare_drift(const LinearStatistics& statistics, SharedInput& shared) {
  const at::Tensor& moment = statistics.cross_moment;
  const bool plain = shared.recipe.target == TargetOptions{};
  if (plain || !moment.defined() || !shared.factor.upper.defined()) return;
  require(moment.sizes() == shared.hessian.sizes(),
          "statistics: the cross moment and the Hessian differ in shape");
  const bool wide = shared.hessian.scalar_type() == at::kDouble || moment.size(0) <= kDoubleInputs;
  shared.moment = ordered_cross_moment(moment, shared.diagonal, shared.columns,
                                       wide ? at::kDouble : at::kFloat);
  shared.drift = shared.drift_for(shared.factor);
  if (shared.drift.defined()) shared.drift = shared.drift.to(shared.hessian.scalar_type());
}

}  // namespace

LinearSolver::LinearSolver(const LinearStatistics& statistics, const LinearRecipe& recipe,
                           int threads) {
  at::NoGradGuard no_grad;
  require_options(recipe);
  require_threads(threads);
  require_streams(recipe.target, statistics);
  auto prepared = std::make_unique<Prepared>();
  prepared->recipe = recipe;
  prepared->threads = threads;
  prepared->tokens = static_cast<double>(std::max<int64_t>(1, statistics.tokens));
  if (recipe.objective.kind != ObjectiveKind::kNone) {
    require_hessian(statistics.hessian);
    prepared->hessian = statistics.hessian;
    prepared->diagonal = diagonal_of(statistics.hessian, recipe.objective.damping_reference);
    prepared->columns = column_order(recipe.order.kind, prepared->diagonal.values);
    if (prepared->diagonal.usable && recipe.objective.kind != ObjectiveKind::kDiagonal)
      prepared->factor = factor_with_ladder(prepared->hessian, prepared->diagonal,
                                            prepared->columns, recipe.objective.damping);
    prepare_drift(statistics, *prepared);
    if (recipe.target.automatic) prepared->held_out = statistics.held_out;
  }
  prepared_ = std::move(prepared);
}

LinearSolver::~LinearSolver() = default;

LinearOutcome LinearSolver::quantize(const at::Tensor& weight) const {
  at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor& hessian = prepared_->hessian;
  require_weight(weight, hessian);
  // float64 only where both sides are: what a file's float32 weights get is then one arithmetic
  // everywhere
  const bool exact = hessian.defined() && hessian.scalar_type() == at::kDouble &&
                     weight.scalar_type() == at::kDouble;
  const at::Tensor numbers = weight.to(exact ? at::kDouble : at::kFloat).contiguous();
  require_finite(numbers);
  const auto solve = [&]<class T>(T) {
    return prepared_->held_out ? solve_best_target<T>(*prepared_, numbers)
                               : solve_linear<T>(*prepared_, numbers);
  };
  LinearOutcome outcome = exact ? solve(double{}) : solve(float{});
  outcome.weight_divergence = weight_divergence(numbers, dequantize(outcome.quantized));
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace halftone
