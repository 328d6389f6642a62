// The gradient of the end loss flowing backwards through a model, block by block (methods.md 2.2).
//
// On the way up the input of every block is put aside; on the way down each block is computed again
// from it and differentiated on its own. In memory: those inputs (in the store, which may spill),
// one block's weights, and the graph of one block over a few thousand tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "calibrate/backward.h"
#include "calibrate/end_loss.h"
#include "calibrate/tensor_store.h"

namespace halftone {

struct BackwardOptions {
  LabelKind labels = LabelKind::kTruth;
  uint64_t seed = 0;                       // of sampled labels
  at::ScalarType storage = at::kBFloat16;  // of block inputs and of gradients between blocks
  int64_t tokens_per_step = 4096;          // differentiated at once; at least one sequence
  // Inputs of the first block in the full-precision model, in batches as `hidden`: the gradients of
  // its linears then hold what these read there. Empty: nobody asks.
  std::vector<at::Tensor> original = {};
  std::function<void(int64_t block)> passed = {};  // after each block, up or down; may throw
};

// Gathers statistics from gradients.
class GradientObserver {
 public:
  virtual ~GradientObserver() = default;
  virtual void enter(const Block& block) = 0;
  // Of the sequences from `first` on, gradients kLossScale times the loss's. A sequence that was
  // left out has zeros everywhere.
  virtual void add(const std::vector<LinearGradient>& linears, int64_t first) = 0;
  // left_out: sequences, in this run and so far
  virtual void leave(const Block& block, int64_t left_out) = 0;
};

class BackwardPass {
 public:
  // ids: (sequences, length) int32.
  BackwardPass(const Model& model, const at::Tensor& ids, const Execution& execution,
               const Positions& positions, TensorStore& store);

  // hidden: the input of block `first`, (batch, length, hidden) each, of all sequences in order.
  // Shows the observer the gradients of the linears of blocks [first, end), from the end down.
  // Error: more than 1 % of the sequences have a loss or gradients that are not finite.
  void run(std::vector<at::Tensor> hidden, int64_t first, int64_t end,
           const BackwardOptions& options, GradientObserver& observer);

  // Of each sequence in the last run, (sequences) float64, nats a target; NaN where left out.
  const at::Tensor& losses() const { return losses_; }
  // In any run so far.
  int64_t dropped_sequences() const;

 private:
  void climb(std::vector<at::Tensor>& hidden, int64_t first, const BackwardOptions& options);
  void turn(std::vector<at::Tensor>& hidden, const BackwardOptions& options);
  // original: as in BackwardOptions, of this block; or empty
  void descend(std::vector<at::Tensor>& gradients, const Block& block, GradientParts parts,
               const BackwardOptions& options, const std::vector<at::Tensor>& original,
               GradientObserver& observer);
  void add_original(const Block& block, const at::Tensor& hidden, BlockGradient& gradient) const;
  // Zeroes the sequences of which some number is not finite, in all of `parts`, and counts them.
  void leave_out(const std::vector<at::Tensor*>& parts, int64_t first);
  void require_few_dropped(int64_t block) const;

  const Model& model_;
  at::Tensor ids_;
  Execution execution_;
  Positions positions_;
  TensorStore& store_;
  at::Tensor losses_;
  std::vector<bool> dropped_, left_out_;      // of each sequence: in any run, in the last one
  std::vector<std::vector<int64_t>> inputs_;  // handles: of each block from `first` on, each batch
};

}  // namespace halftone
