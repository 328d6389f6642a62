// One linear, its rows solved together or in runs with a Hessian each (the k of Kim et al. 2025,
// GuidedQuant, arXiv 2505.07004; methods.md 2.3). Rows do not see each other in the sweep, so runs
// are independent but for what a linear stores once: the order of its columns, which is that of the
// sum of the runs' diagonals; its dead columns, dead in all runs; outliers by magnitude, chosen
// among all weights. A threshold or rate of outliers by sensitivity holds in each run.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "calibrate/linear_statistics.h"
#include "quantize/solve.h"

namespace halftone {

// Of statistics with this Hessian.   hessian: (in, in) or (groups, in, in)
int64_t row_groups_of(const at::Tensor& hessian);

class RowGroups {
 public:
  // statistics and recipe: checked. With one run everything that linears share is made here.
  RowGroups(LinearStatistics statistics, const LinearRecipe& recipe, int threads);

  const at::Tensor& hessian() const { return statistics_.hessian; }
  const LinearRecipe& recipe() const { return recipe_; }

  // All of an outcome but seconds and weight_divergence. weight: (out, in) T, contiguous, finite;
  // row_energies: (out) float64 or undefined
  template <class T>
  LinearOutcome solve(const at::Tensor& weight, const at::Tensor& row_energies) const;

 private:
  // What the runs must agree on; the diagonal is that of each run.
  void agree_on_columns();
  SharedInput input_of(int64_t group) const;

  LinearStatistics statistics_;
  LinearRecipe recipe_;
  int threads_;
  int64_t groups_;
  std::vector<HessianDiagonal> diagonals_;    // of each run; none without an objective
  std::vector<int64_t> columns_;              // (in) sweep order; empty without an objective
  std::shared_ptr<const SharedInput> alone_;  // of the only run
};

// A linear whose rows share one input: the above for its only run. shift: (out, in) the weight's
// WeightShift, where the caller has it already.
template <class T>
LinearOutcome solve_linear(const SharedInput& shared, const at::Tensor& weight,
                           const at::Tensor& row_energies = {}, const at::Tensor& shift = {});

// Runs of rows of one linear, one below the other: equal grids, orders and dead columns.
QuantizedLinear joined(std::vector<QuantizedLinear> runs);

}  // namespace halftone
