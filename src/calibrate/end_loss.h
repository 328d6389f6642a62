// The loss at the end of the model, the cross-entropy of the next token or of an image's class, and
// its gradient at the last hidden state. Logits exist for a few hundred positions at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/inputs.h"
#include "model/model.h"
#include "recipe/model_recipe.h"

namespace halftone {

// Gradients are this power of two times those of the sum of token losses, so that none underflows;
// statistics divide it out again, which is exact.
inline constexpr double kLossScale = 1024;

struct LossGradient {
  at::Tensor loss;    // (batch) float64, the sum over the sequence's targets, nats
  at::Tensor hidden;  // (batch, length, hidden) in execution's dtype, times kLossScale
};

class EndLoss {
 public:
  // Labels are the next tokens of the text, or the images' classes (which must be known); or drawn
  // from the model's own distribution (then gradients have mean 0 and their Fisher matrix is the
  // Hessian of KL, methods.md 2.2). A draw depends on the seed, the sequence and the position only.
  EndLoss(const Model& model, const ModelInputs& inputs, const Execution& execution,
          LabelKind labels, uint64_t seed);

  // Of a sequence: one less than its tokens, or one of an image.
  int64_t targets() const { return labels_.size(1); }

  // hidden: (batch, length, hidden), the last block's output for the sequences from `first` on.
  LossGradient differentiate(const at::Tensor& hidden, int64_t first) const;

 private:
  // hidden: of targets what the head reads, (targets, hidden) or (targets, class tokens, hidden);
  // labels, draws: (targets). Writes into loss; the gradient, like hidden.
  at::Tensor differentiate_chunk(const at::Tensor& hidden, const at::Tensor& labels,
                                 const at::Tensor& draws, at::Tensor& loss) const;

  const Model& model_;
  Head head_;
  int64_t read_;       // positions of a sequence, its first ones, that the head reads
  at::Tensor labels_;  // (sequences, targets) int64
  at::Tensor draws_;   // (sequences, targets) float64 in [0, 1); undefined: the labels count
};

}  // namespace halftone
