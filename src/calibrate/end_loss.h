// The loss at the end of the model, next-token cross-entropy, and its gradient at the last hidden
// state. Logits exist for a few hundred positions at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/model.h"
#include "recipe/model_recipe.h"

namespace halftone {

// Gradients are this power of two times those of the sum of token losses, so that none underflows;
// statistics divide it out again, which is exact.
inline constexpr double kLossScale = 1024;

struct LossGradient {
  at::Tensor loss;    // (batch) float64, the sum over the sequence's length - 1 targets, nats
  at::Tensor hidden;  // (batch, length, hidden) in execution's dtype, times kLossScale
};

class EndLoss {
 public:
  // ids: (sequences, length) int32 on the CPU. Labels are the next tokens of the text, or drawn
  // from the model's own distribution (then gradients have mean 0 and their Fisher matrix is the
  // Hessian of KL, methods.md 2.2). A draw depends on the seed, the sequence and the position only.
  EndLoss(const Model& model, const at::Tensor& ids, const Execution& execution, LabelKind labels,
          uint64_t seed);

  // hidden: (batch, length, hidden), the last block's output for the sequences from `first` on.
  LossGradient differentiate(const at::Tensor& hidden, int64_t first) const;

 private:
  // hidden: (positions, hidden); next, draws: (positions). Writes into loss; the gradient, like
  // hidden.
  at::Tensor differentiate_chunk(const at::Tensor& hidden, const at::Tensor& next,
                                 const at::Tensor& draws, at::Tensor& loss) const;

  const Model& model_;
  Head head_;
  at::Tensor next_;   // (sequences, length - 1) int64
  at::Tensor draws_;  // (sequences, length - 1) float64 in [0, 1); undefined: labels of the text
};

}  // namespace halftone
