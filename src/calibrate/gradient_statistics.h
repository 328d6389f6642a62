// What the backward pass leaves behind for each linear: its output Hessian, or the weight of each
// token (methods.md 2.2, 2.3), by the linear's objective.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "calibrate/backward_pass.h"
#include "calibrate/output_hessian.h"
#include "calibrate/token_weights.h"
#include "recipe/linear_recipe.h"

namespace halftone {

using ObjectiveOf = std::function<ObjectiveOptions(const LinearSlot&)>;

class GradientStatistics final : public GradientObserver {
 public:
  // The sums wait in `store` until they are asked for.
  GradientStatistics(const Model& model, ObjectiveOf objective, const Sequences& sequences,
                     at::Device device, TensorStore& store);

  void enter(const Block& block) override;
  void add(const std::vector<LinearGradient>& linears, const Batch& batch) override;
  void leave(const Block& block, int64_t left_out) override;

  // Of a linear whose block was observed, once each and before the rest: the weights of its tokens
  // (guided), the mean over a run of its outputs of the squared gradient (Kim et al. 2025, arXiv
  // 2505.07004), on the device ...
  TokenWeights take_token_weights(const LinearSlot& linear);
  // ... with a gate the part of the Hessian that comes from held-out sequences, (in, in) ...
  at::Tensor take_held_out(const LinearSlot& linear);
  // ... and the rest, once: row energies, and with oac and diagonal the Hessian, with the cross
  // moment where inputs of the full-precision model came along.
  LinearStatistics take(const LinearSlot& linear);
  // Frees what a block's linears have waiting, if anything.
  void forget(int64_t block);

 private:
  struct Sum {                                       // of the block at hand; one of the three
    std::optional<OutputHessian> hessian, held_out;  // the second: part of the first, by itself
    std::optional<OutputDiagonal> diagonal;
    TokenWeights weights;
    at::Tensor row_energies;  // (out) float64, with weights
    int64_t tokens = 0;       // that reached the linear
  };
  struct Waiting {
    LinearStatistics statistics;  // without its matrices
    // Handles in the store; -1: there is none.
    int64_t hessian = -1, cross_moment = -1, held_out = -1, token_weights = -1;
  };
  Waiting put_aside(Sum& sum);
  static void weigh(const LinearGradient& linear, int64_t first, Sum& sum);

  const Model& model_;
  ObjectiveOf objective_;
  const Sequences& sequences_;
  at::Device device_;
  TensorStore& store_;
  std::map<std::string, Sum> sums_;         // by relative name
  std::map<std::string, Waiting> waiting_;  // by full name
};

}  // namespace halftone
