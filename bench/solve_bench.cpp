// How long one linear takes from Hessian to codes, and its parts. bench/solve_peer.py times the
// plain torch loop on the same shapes. A plain program: each case runs for seconds, so it repeats
// few times and prints the least.
//
//   solve_bench [columns] [threads] [repetitions] [products: auto, float32, bfloat16, two-part]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "base/memory.h"
#include "kernels/instruction_set.h"
#include "matrix/quadratic_form.h"
#include "model/compute.h"
#include "quantize/factor.h"
#include "quantize/linear_solver.h"
#include "quantize/target.h"
#include "quantize/weight_distribution.h"
#include "timing.h"

namespace {

using namespace halftone;

void print(const char* what, double seconds) {
  std::printf("%-44s %8.3f s\n", what, seconds);
  std::fflush(stdout);
}

// X^T X of correlated inputs, some channels far larger than others, as real layers have them.   ->
// (in, in)
at::Tensor correlated_hessian(int64_t in) {
  at::Tensor x = at::randn({2 * in, in})
                     .matmul(at::randn({in, in}).mul_(0.3 / std::sqrt(in)).add_(at::eye(in)));
  x.mul_(at::exp(0.7 * at::randn({in})));
  return x.t().matmul(x);
}

// (Xf - X)^T X where Xf - X is a tenth of the inputs, mixed, and noise.   -> (in, in)
at::Tensor drift_of(const at::Tensor& hessian) {
  const int64_t in = hessian.size(0);
  return at::randn({in, in}).mul_(0.1 / std::sqrt(in)).matmul(hessian);
}

// What the two-stream targets cost beside the plain one: the pre-shift alone, then whole solves.
void time_targets(const LinearStatistics& plain, const at::Tensor& weight, LinearRecipe recipe,
                  int threads, int repetitions) {
  LinearStatistics statistics = plain;
  statistics.cross_moment = drift_of(plain.hessian);
  double factor = 0, sweep = 0;
  const auto time = [&](const char* what, const TargetOptions& target) {
    recipe.target = target;
    std::unique_ptr<LinearSolver> solver;
    const double prepared = least_seconds(
        repetitions, [&] { solver = std::make_unique<LinearSolver>(statistics, recipe, threads); });
    const double solved = least_seconds(repetitions, [&] { (void)solver->quantize(weight); });
    if (factor == 0) factor = prepared, sweep = solved;
    std::printf("%-44s %8.3f s + %8.3f s  %.2f times plain\n", what, prepared, solved,
                (prepared + solved) / (factor + sweep));
    std::fflush(stdout);
  };
  std::printf("gptq with targets: factor (and P) + sweep\n");
  time("  plain", {});
  time("  alpha (GPTAQ)", {.alpha = 0.25});
  time("  alpha and alpha2 (ResComp)", {.alpha = 0.25, .alpha2 = 0.25});
  time("  the same by the published arithmetic",
       {.alpha = 0.25, .alpha2 = 0.25, .parity = TargetParity::kOrg});
  time("  preshift (QEP)", {.preshift = 0.5});
  std::vector<int64_t> columns(static_cast<size_t>(weight.size(1)));
  std::iota(columns.begin(), columns.end(), 0);
  const HessianDiagonal diagonal = diagonal_of(plain.hessian, DampingReference::kMean);
  const at::Tensor upper = factor_with_ladder(plain.hessian, diagonal, columns, 0.01).upper;
  const at::Tensor moment =
      ordered_cross_moment(statistics.cross_moment, diagonal, columns, at::kFloat);
  const double alone =
      least_seconds(repetitions, [&] { (void)WeightShift(moment, upper, columns).of(weight); });
  const WeightShift shift(moment, upper, columns);
  (void)shift.of(weight);
  const double shared = least_seconds(repetitions, [&] { (void)shift.of(weight); });
  std::printf("  the shift alone: %.3f s, %.2f times the plain sweep; of another weight %.3f s\n",
              alone, alone / sweep, shared);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t in = argc > 1 ? std::atoll(argv[1]) : 4096;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  const int repetitions = argc > 3 ? std::atoi(argv[3]) : 3;
  keep_freed_memory();  // as the program does
  // sets torch's threads; auto: by what is faster here
  const Products chosen = choose_execution("cpu", Compute::kFloat32, threads, true,
                                           parse_products(argc > 4 ? argv[4] : "auto"))
                              .products;
  at::manual_seed(0);
  const at::Tensor weight = at::randn({in, in}).mul_(0.02);
  const LinearStatistics statistics{correlated_hessian(in), 2 * in};
  std::printf("one linear %lld x %lld, %d threads, %s, products %s, least of %d\n",
              static_cast<long long>(in), static_cast<long long>(in), threads,
              instruction_set().c_str(), std::string(name_of(chosen)).c_str(), repetitions);

  LinearRecipe recipe;  // 4 bits, groups of 128, natural order, no clip search
  std::unique_ptr<LinearSolver> solver;
  const double factor = least_seconds(
      repetitions, [&] { solver = std::make_unique<LinearSolver>(statistics, recipe, threads); });
  LinearOutcome outcome;
  const double sweep = least_seconds(repetitions, [&] { outcome = solver->quantize(weight); });
  print("factor (once for linears that share an input)", factor);
  print("sweep, static groups", sweep);
  print("both", factor + sweep);
  std::printf("  relative error %.6f, damping %g, fallback '%s'\n", outcome.relative_error,
              outcome.damping, outcome.fallback.c_str());
  const double report = least_seconds(repetitions, [&] {
    (void)reported_quadratic_form(weight, statistics.hessian);
    (void)weight_divergence(weight, outcome.quantized);
  });
  print("  of the sweep: figures for the report alone", report);
  print("  from H to codes, without them", factor + sweep - report);
  print("  of that the sweep", sweep - report);

  const auto time_recipe = [&](const char* what, const LinearRecipe& variant) {
    const LinearSolver other(statistics, variant, threads);
    print(what, least_seconds(repetitions, [&] { outcome = other.quantize(weight); }));
    std::printf("  relative error %.6f, outliers %.4f\n", outcome.relative_error,
                outlier_share(outcome.quantized));
  };
  recipe.order.static_groups = false;
  time_recipe("sweep, dynamic groups", recipe);
  recipe.order.kind = OrderKind::kActivation;
  time_recipe("sweep, dynamic groups, activation order", recipe);
  recipe.order.static_groups = true;
  time_recipe("sweep, static groups, activation order", recipe);
  recipe.grid.clip_search = true;
  time_recipe("the same with clip search (gptq)", recipe);
  time_targets(statistics, weight, recipe, threads, repetitions);
  LinearRecipe spqr = recipe;
  spqr.objective.damping = 1;
  spqr.grid = {.kind = GridKind::kBilevel, .bits = 3, .group_size = 16};
  spqr.order.static_groups = false;
  time_recipe("bilevel grid, groups of 16", spqr);
  spqr.outliers.kind = OutlierKind::kSpqr;
  time_recipe("the same with outliers by a threshold (spqr)", spqr);
  spqr.outliers.rate = 0.01;
  time_recipe("the same with outliers by a rate", spqr);
  recipe.objective.kind = ObjectiveKind::kNone;
  recipe.order.kind = OrderKind::kNatural;
  time_recipe("round to nearest with clip search", recipe);
  recipe.grid.clip_search = false;
  time_recipe("round to nearest", recipe);
}
