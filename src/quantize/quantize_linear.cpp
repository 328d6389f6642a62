#include "quantize/quantize_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "kernels/lane_kernels.h"
#include "quantize/row_groups.h"
#include "quantize/scale_floor.h"
#include "quantize/weight_distribution.h"

namespace halftone {
namespace {

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

void require_ranking(const LinearRecipe& recipe) {
  if (recipe.outliers.ranking == OutlierRanking::kPlain) return;
  require(
      recipe.outliers.kind == OutlierKind::kSensitivity,
      "outliers.ranking: row-energy weighs what rounding costs, which only outliers.kind = spqr "
      "looks at");
  require(recipe.objective.needs_gradients(),
          "outliers.ranking: row-energy needs gradients: expected objective.kind = oac, guided or "
          "diagonal");
}

void require_row_groups(const LinearRecipe& recipe) {
  const int64_t groups = recipe.objective.row_groups;
  require(groups >= 1, "objective.row_groups: expected 1 or more, not {}", groups);
  if (groups == 1) return;
  require(recipe.objective.kind == ObjectiveKind::kTokenWeighted,
          "objective.row_groups {}: only objective.kind = guided has Hessians for runs of rows",
          groups);
  require(recipe.grid.kind != GridKind::kBinary,
          "objective.row_groups {}: expected 1 with grid.kind = binary, whose salient columns are "
          "those of all rows",
          groups);
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
  require(target.fit == TargetFit::kOriginal || target.alpha != 0 || target.automatic,
          "target.fit = expected is about weights that target.alpha moves, but that is 0");
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
  const double first_token = recipe.objective.first_token;
  require(std::isfinite(first_token) && first_token >= 0,
          "objective.first_token: expected 0 or more, not {}", first_token);
  if (grid.kind == GridKind::kBilevel) require_bilevel(grid);
  require(grid.kind != GridKind::kSplit || recipe.outliers.kind == OutlierKind::kLasso,
          "grid.kind: split needs outliers.kind = lasso, which says what the outliers are");
  require_outliers(recipe.outliers);
  require_ranking(recipe);
  require_row_groups(recipe);
  require(recipe.order.kind == OrderKind::kNatural || recipe.objective.kind != ObjectiveKind::kNone,
          "order.kind: activation orders columns by a Hessian, and objective.kind = none has none; "
          "expected natural");
  require_target(recipe);
}

void require_rows(const LinearRecipe& recipe, int64_t out) {
  if (recipe.grid.kind != GridKind::kBilevel) return;
  const int64_t groups = std::min(out, recipe.objective.row_groups), run = recipe.grid.run_size;
  for (int64_t group = 1; group < groups; ++group)
    require(first_row_of_group(out, groups, group) % run == 0,
            "objective.row_groups {}: {} rows do not fall into as many whole runs of "
            "grid.qq_groupsize = {} rows, which share numbers",
            groups, out, run);
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
  require_options(recipe);
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
  require_rows(prepared_->recipe(), weight.size(0));
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
