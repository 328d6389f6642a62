// Calibration sequences flowing through a model block by block, stage by stage (methods.md 7.5).
//
// A stage's inputs feed its statistics; the caller then replaces the stage's linears; the next call
// computes the stage's outputs with the new weights on the way to the next inputs. So every linear
// is computed exactly once, and every statistic is taken behind an already quantized prefix.
//
// With two streams the same sequences also run through the full-precision model, stage by stage
// beside the first, and the statistics hold the cross moment of the two inputs.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "calibrate/activation_store.h"
#include "calibrate/linear_statistics.h"
#include "model/model.h"

namespace halftone {

class Stream {
 public:
  // ids: (sequences, length) int32. storage: the dtype in which activations are kept between
  // passes.
  Stream(const Model& model, const at::Tensor& ids, const Execution& execution, bool two_streams,
         at::ScalarType storage = at::kBFloat16);

  // Keeps the last `count` sequences out of every sum; what they hold is in `held_out` of the
  // statistics. Before the first stage is measured, with two streams only.
  void hold_out(int64_t count) { held_out_ = count; }

  const Positions& positions() const { return positions_; }

  // Statistics of the inputs of `stage`; stages of a block must be asked for in order, 0 first.
  // Sequences whose inputs are not finite are left out and counted. Error: more than 1 % of them
  // (methods.md 7.6). original: the same block in full precision; used with two streams only.
  LinearStatistics measure(const Block& block, const Block& original, int stage) {
    return measure(block, original, stage, {at::Tensor()}).front();
  }
  // The same inputs summed up in several ways, one for each entry of `weights`: (sequences, length)
  // float32 weights of the tokens, or undefined, all 1. Without any entry the sequences only move
  // on.
  std::vector<LinearStatistics> measure(const Block& block, const Block& original, int stage,
                                        const std::vector<at::Tensor>& weights);
  // Computes the block's last stage; the stream then stands before the next block.
  void leave(const Block& block, const Block& original);

  // The input of the block at which the stream stands, (batch, length, hidden) each, in the storage
  // dtype; overwritten when the stream leaves the block.
  std::vector<at::Tensor> hidden() const;
  // The same in the full-precision model; two streams only.
  std::vector<at::Tensor> original_hidden() const;
  int64_t dropped_sequences() const { return dropped_; }

 private:
  struct Batch {
    int64_t first;               // sequence
    BlockState state, original;  // original: empty with one stream
  };
  // Applies `work` to every batch of sequences, in the compute dtype, and keeps the state it
  // leaves.
  template <class Work>
  void for_each_batch(Work&& work);

  const Model& model_;
  Execution execution_;
  Positions positions_;
  int64_t sequences_, batch_, dropped_ = 0;  // batch_: sequences at a time
  int64_t held_out_ = 0;
  ActivationStore quantized_;
  std::optional<ActivationStore> original_;  // with two streams
};

}  // namespace halftone
