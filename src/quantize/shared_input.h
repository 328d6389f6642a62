// What linears that read one input have in common: the factor of its Hessian, the order of its
// columns, what its drift comes to. It depends on the objective, the target and the order of a
// recipe, not on its grid: linears of different bit widths share it.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "calibrate/linear_statistics.h"
#include "quantize/factor.h"
#include "quantize/target.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// What of a recipe decides how an input is prepared.
struct InputOptions {
  ObjectiveOptions objective;
  TargetOptions target;
  OrderOptions order;
  bool rotated = false;  // the linears are, each with its outputs (linear_rotation.h)

  bool operator==(const InputOptions&) const = default;
};
InputOptions input_options(const LinearRecipe& recipe);

// For rows that share one Hessian, all of it in the rotated basis where the linears are rotated;
// never written to once it is made, but for what `shift` keeps.
struct SharedInput {
  InputOptions options;
  int threads = 1;
  at::Tensor hessian;  // (in, in) undamped; undefined: no objective
  double tokens = 1;
  HessianDiagonal diagonal;
  std::vector<int64_t> columns;  // (in) the file's column at each sweep position
  DampedFactor factor;           // none where the ladder found none
  at::Tensor moment;             // (in, in) D in sweep order, normalized; undefined: without P
  at::Tensor drift;              // (in, in) P of `factor`; undefined without alpha, alpha2
  std::optional<HeldOutInputs> held_out;     // with target.auto
  std::shared_ptr<const WeightShift> shift;  // by `factor`; null without preshift or auto

  // P for a factor; undefined where there is no moment.
  at::Tensor drift_for(const DampedFactor& factor) const;
};

// The same for all rows of a linear, which are one run, or several with a Hessian each (the k of
// Kim et al. 2025, GuidedQuant, arXiv 2505.07004; methods.md 2.3). Rows do not see each other in
// the sweep, so runs are independent but for what a linear stores once: the order of its columns,
// which is that of the sum of the runs' diagonals; its dead columns, dead in all runs. Only one
// run's factor exists at a time.
class SharedInputs {
 public:
  // Errors: statistics that are not what the options ask for.
  SharedInputs(LinearStatistics statistics, const InputOptions& options, int threads);

  const InputOptions& options() const { return options_; }
  // As calibrated; told apart by identity.
  const at::Tensor& hessian() const { return calibrated_; }
  // Columns that no input ever reached, before any rotation.   -> (dead) int32, or undefined
  const at::Tensor& dead_inputs() const { return dead_inputs_; }
  int64_t runs() const { return runs_; }
  // Made anew each time it is asked for, unless it is the only one.
  std::shared_ptr<const SharedInput> run(int64_t index) const;

 private:
  // What the runs must agree on; the diagonal is that of each run.
  void agree_on_columns();
  SharedInput make(int64_t run) const;

  // Statistics of the inputs that rotated linears read.
  void rotate_inputs();

  LinearStatistics statistics_;
  at::Tensor calibrated_, dead_inputs_;
  InputOptions options_;
  int threads_;
  int64_t runs_;
  std::vector<HessianDiagonal> diagonals_;    // of each run; none without an objective
  std::vector<int64_t> columns_;              // (in) sweep order; empty without an objective
  std::shared_ptr<const SharedInput> alone_;  // of the only run
};

}  // namespace halftone
