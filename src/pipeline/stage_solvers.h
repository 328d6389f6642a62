// How the linears of a stage share what their solvers compute.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "calibrate/calibration.h"
#include "quantize/linear_solver.h"

namespace halftone {

// Solvers of one stage: linears with the same Hessian (X^T X of the stage's input; output Hessians
// are each linear's own), objective, target and order share one factorization, whatever their bits.
class StageSolvers {
 public:
  StageSolvers(const StageStatistics& statistics, int threads)
      : statistics_(statistics), threads_(threads) {}
  // Errors carry the linear's name.
  LinearOutcome quantize(const LinearSlot& linear, const LinearRecipe& recipe,
                         const at::Tensor& weight);

 private:
  std::shared_ptr<const SharedInputs> inputs_of(const LinearStatistics& statistics,
                                                const InputOptions& options);

  const StageStatistics& statistics_;
  int threads_;
  std::vector<std::shared_ptr<const SharedInputs>> inputs_;
};

}  // namespace halftone
