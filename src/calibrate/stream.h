// Calibration sequences flowing through a model block by block, stage by stage (methods.md 7.5).
//
// A stage's inputs feed its statistics; the caller then replaces the stage's linears; the next call
// computes the stage's outputs with the new weights on the way to the next inputs. So every linear
// is computed exactly once, and every statistic is taken behind an already quantized prefix.
//
// With two streams the same sequences also run through the full-precision model, stage by stage
// beside the first, and the statistics hold the cross moment of the two inputs. Experts then get
// the tokens that the full-precision model sends them, in both: else there were no pairs of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "calibrate/activations.h"
#include "calibrate/stage_sums.h"
#include "calibrate/token_weights.h"
#include "model/model.h"

namespace halftone {

class Stream {
 public:
  // embedded: what enters the first block, in the dtype in which activations wait between stages.
  // Sequences that are held out, with two streams only, are in `held_out` of the statistics.
  Stream(const Model& model, Sequences& sequences, Activations embedded, const Execution& execution,
         bool two_streams);

  const Positions& positions() const { return positions_; }

  // What is asked for of the inputs of `stage`; the stages of a block in order, 0 first. Nothing
  // asked: the sequences only move on. original: the same block in full precision; used with two
  // streams only. Error: too many sequences with inputs that are not finite (methods.md 7.6).
  std::vector<LinearStatistics> measure(const Block& block, const Block& original, int stage,
                                        std::span<const StageSum> asked);
  // Computes the block's last stage; the stream then stands before the next block.
  void leave(const Block& block, const Block& original);
  // Behind the last block: what is summed of the inputs of the head's linear.   weights: of tokens
  LinearStatistics measure_head(const TokenWeights& weights);

  // What enters the block at which the stream stands; overwritten when the stream leaves it.
  const Activations& activations() const { return quantized_; }
  // The same in the full-precision model; two streams only.
  const Activations& original_activations() const { return *original_; }

 private:
  struct States {
    BlockState quantized, original;  // original: empty with one stream
  };
  // Applies `work` to the states of every batch, in the compute dtype, and puts back what it
  // leaves.
  template <class Work>
  void for_each_batch(Work&& work);

  const Model& model_;
  Execution execution_;
  Positions positions_;
  Sequences& sequences_;
  Activations quantized_;
  std::optional<Activations> original_;  // with two streams
  int next_stage_ = 0;
};

}  // namespace halftone
