// The gradient of the end loss flowing backwards through a model, block by block (methods.md 2.2).
//
// On the way up the input of every block is put aside; on the way down each block is computed again
// from it and differentiated on its own. In memory: those inputs (in the store, which may spill),
// one block's weights, and the graph of one block over a few thousand tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "calibrate/activations.h"
#include "calibrate/backward.h"
#include "calibrate/end_loss.h"
#include "calibrate/tensor_store.h"
#include "calibrate/token_rows.h"

namespace halftone {

struct BackwardOptions {
  LabelKind labels = LabelKind::kTruth;
  uint64_t seed = 0;  // of sampled labels
  // What enters the first block in the full-precision model: the gradients of its linears then hold
  // what these read there. Null: nobody asks.
  const Activations* original = nullptr;
  std::function<void(int64_t block)> passed = {};  // after each block, up or down; may throw
};

// Gathers statistics from gradients.
class GradientObserver {
 public:
  virtual ~GradientObserver() = default;
  virtual void enter(const Block& block) = 0;
  // Of a batch's sequences, gradients kLossScale times the loss's. A sequence that was left out has
  // zeros everywhere.
  virtual void add(const std::vector<LinearGradient>& linears, const Batch& batch) = 0;
  // left_out: sequences, in this run and so far
  virtual void leave(const Block& block, int64_t left_out) = 0;
};

class BackwardPass {
 public:
  BackwardPass(const Model& model, Sequences& sequences, const Execution& execution,
               const Positions& positions, TensorStore& store);

  // entering: what enters block `first`; not written to, nor may it be meanwhile. Its dtype is that
  // of block inputs and of gradients between blocks.
  // Shows the observer the gradients of the linears of blocks [first, end), from the end down.
  // Error: too many sequences have a loss or gradients that are not finite.
  void run(const Activations& entering, int64_t first, int64_t end, const BackwardOptions& options,
           GradientObserver& observer);

  // Of each sequence in the last run, (sequences) float64, nats a target; NaN where left out.
  const at::Tensor& losses() const { return losses_; }

 private:
  // From the input of block `first` to the output of the last one.
  void run_forward(const Activations& entering, int64_t first, const BackwardOptions& options,
                   Activations& outputs);
  // From the output of the last block to the loss's gradient there, in its place.
  void differentiate_loss(const BackwardOptions& options, Activations& outputs);
  // From gradients at the output of a block to those at its input, in their place.
  // original: as in BackwardOptions, of this block
  void differentiate(const Block& block, GradientParts parts, const Activations* original,
                     Activations& gradients, GradientObserver& observer);
  // Zeroes the sequences of which some number is not finite, in all of `parts`.
  struct Part {
    at::Tensor* numbers;
    TokenRows rows;
  };
  std::vector<Part> parts_of(BlockGradient& gradient) const;
  void leave_out(const std::vector<Part>& parts, const Batch& batch);

  const Model& model_;
  Sequences& sequences_;
  Execution execution_;
  Positions positions_;
  TensorStore& store_;
  at::Tensor losses_;
  at::Tensor finite_;                         // (sequences) bool: not left out in the last run
  std::vector<std::vector<int64_t>> inputs_;  // handles: of each block from `first` on, each batch
};

}  // namespace halftone
