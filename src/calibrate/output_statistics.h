// What the backward pass leaves behind for each linear: its output Hessian, or the weight of each
// token (METHODS 2.2, 2.3), by the linear's objective.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "calibrate/backward_pass.h"
#include "calibrate/output_hessian.h"
#include "recipe/linear_recipe.h"

namespace halftone {

using ObjectiveOf = std::function<ObjectiveOptions(const LinearSlot&)>;

// s of each token: the mean over a linear's outputs of the squared gradient (Kim et al. 2025,
// arXiv 2505.07004).   delta: (batch, length, out) -> (batch, length) float32
at::Tensor token_weights(const at::Tensor& delta);

class OutputStatistics final : public GradientObserver {
 public:
  // ids: (sequences, length). The sums wait in `store` until they are asked for.
  OutputStatistics(const Model& model, ObjectiveOf objective, const at::Tensor& ids,
                   at::Device device, TensorStore& store);

  void enter(const Block& block) override;
  void add(const std::vector<LinearGradient>& linears, int64_t first) override;
  void leave(const Block& block) override;

  // Of a linear whose block was observed, once: the Hessian (objectives oac and diagonal) ...
  LinearStatistics take_hessian(const LinearSlot& linear);
  // ... of objectives with a gate also the part of it that comes from held-out sequences, (in, in),
  // before the whole is taken ...
  at::Tensor take_held_out(const LinearSlot& linear);
  // ... or the weights of its tokens (guided), (sequences, length) float32 on the device.
  at::Tensor take_token_weights(const LinearSlot& linear);

 private:
  struct Sum {                                       // of the block at hand; one of the three
    std::optional<OutputHessian> hessian, held_out;  // the second: part of the first, by itself
    std::optional<OutputDiagonal> diagonal;
    at::Tensor weights;  // (sequences, length) float32
  };
  struct Kept {
    LinearStatistics statistics;  // without its Hessian
    int64_t handle = -1;          // of the Hessian or the weights
    int64_t held_out = -1;        // of the held-out Hessian
  };
  Kept keep(Sum& sum);

  const Model& model_;
  ObjectiveOf objective_;
  int64_t sequences_, length_;
  at::Device device_;
  TensorStore& store_;
  std::map<std::string, Sum> sums_;   // by relative name
  std::map<std::string, Kept> kept_;  // by full name
};

}  // namespace halftone
