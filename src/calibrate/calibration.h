// Everything a run learns from its calibration sequences, block by block, in the order in which the
// linears are quantized: one `LinearStatistics` for each, by its objective.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <optional>

#include "base/progress.h"
#include "calibrate/gradient_statistics.h"
#include "calibrate/stage_statistics.h"
#include "calibrate/stream.h"
#include "recipe/model_recipe.h"

namespace halftone {

struct CalibrationOptions {
  bool two_streams = false;  // some target needs the cross moment
  int64_t held_out = 0;      // sequences, the last ones, that go into `held_out` of the statistics
                             // and nowhere else; with two streams only
  ObjectiveOf objective;     // of each linear
  ModelRecipe model;         // labels, schedule and first_token; transforms are none of its matters
  uint64_t seed = 0;         // of sampled labels
  at::ScalarType storage = at::kBFloat16;                      // of activations between passes
  int64_t memory_limit = std::numeric_limits<int64_t>::max();  // bytes of what is put aside
  std::filesystem::path spill_folder = ".";                    // where the rest goes
};

class Calibration {
 public:
  // ids: (sequences, length) int32. With one-shot gradients the whole backward pass runs here.
  Calibration(const Model& model, const at::Tensor& ids, const Execution& execution,
              CalibrationOptions options, Progress& progress);

  // The block in full precision; blocks in order. With block-wise gradients the pass from the end
  // of the model down to this block runs here; the linears before it count as done.
  Block enter(int64_t index);
  // Stages in order, 0 first, each after the linears of those before were replaced.
  StageStatistics measure(const Block& block, const Block& original, int stage);
  // After the block's last linear was replaced.
  void leave(const Block& block, const Block& original);

  // In place of all that, for a block whose linears were quantized before (a resumed run): the
  // sequences run through it and leave it as they would have. Its block-wise gradients are not
  // computed again, so sequences that are left out of those alone are not counted. replace: puts
  // the quantized weights in place.
  void pass(int64_t index, const std::function<void(Block&)>& replace);

  // Sequences that were left out of some statistic, each counted once.
  int64_t dropped_sequences() const { return sequences_.left_out(); }

 private:
  void go_back(int64_t first, int64_t end, const std::function<void(int64_t)>& passed);
  // The sums over the stage's inputs behind the quantized prefix: of each input that some linear
  // asks for as it is, and of each linear that weighs its tokens.
  StageStatistics sum_inputs(const Block& block, const Block& original, int stage);
  // To the sums over a linear's weighted tokens what the gradients say beside the weights.
  void add_gradients(const LinearSlot& linear, LinearStatistics& sums);
  // The linear's output Hessian, or `input` where the gate asks for it.
  LinearStatistics output_statistics(const LinearSlot& linear, const ObjectiveOptions& objective,
                                     const LinearStatistics& input);

  const Model& model_;
  Execution execution_;
  CalibrationOptions options_;
  Progress& progress_;
  bool block_wise_ = false;  // gradients are taken before each block, behind the quantized prefix
  TokenWeights input_weights_;  // of tokens in X^T X
  bool streams_ = false;        // some statistic is taken behind the quantized prefix
  bool drift_ = false;          // output Hessians need the drift of their inputs
  Sequences sequences_;
  Stream stream_;
  std::optional<TensorStore> store_;
  std::optional<BackwardPass> backward_;
  std::optional<GradientStatistics> gradients_;
};

}  // namespace halftone
