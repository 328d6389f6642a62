// Everything a run learns from its calibration sequences, block by block, in the order in which the
// linears are quantized: one `LinearStatistics` for each, by its objective.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>

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
  bool inputs = false;       // X^T X of every input, whatever its linears ask for
  bool head = false;         // measure_head will be asked
  // Statistics of linears that are known without looking at any sequence; null: there are none.
  std::function<LinearStatistics(const LinearSlot&)> known;
  ModelRecipe model;  // labels, schedule and first_token; transforms are none of its matters
  uint64_t seed = 0;  // of sampled labels
  at::ScalarType storage = at::kBFloat16;                      // of activations between passes
  int64_t memory_limit = std::numeric_limits<int64_t>::max();  // bytes of what is put aside
  std::filesystem::path spill_folder = ".";                    // where the rest goes
};

class Calibration {
 public:
  // inputs: none: a calibration over nothing, which asks nothing of the model and has no
  // statistics. With one-shot gradients the whole backward pass runs here.
  Calibration(const Model& model, const ModelInputs& inputs, const Execution& execution,
              CalibrationOptions options, Progress& progress);
  Calibration(const Calibration&) = delete;
  Calibration& operator=(const Calibration&) = delete;

  // A block after another, from 0: `enter`; for each stage in order `measure`, and `replace` for
  // those of its linears that change; `leave`. In place of measuring, a block whose linears were
  // quantized before (a resumed run) has them replaced alone: the sequences then run through it to
  // the same bits, and gradients behind the quantized prefix are not computed again, so that
  // sequences which are left out of those alone are not counted.
  // Errors: calls in another order.
  void enter(int64_t index);
  // With block-wise gradients the pass from the end of the model down to this block runs at its
  // first stage; the linears before it count as done.
  StageStatistics measure(int stage);
  // weights: (out, in), of a linear of the stage that was measured last
  void replace(const LinearSlot& linear, const at::Tensor& weights);
  void leave();
  // Behind the last block: X^T X, and what goes with it, of what the head's linear reads. Nothing
  // where the options say nothing of a head, or over nothing.
  LinearStatistics measure_head();

  // Sequences that were left out of some statistic, each counted once; none: nothing is calibrated.
  std::optional<int64_t> left_out_sequences() const;

 private:
  void prepare_gradients();
  void take_gradients(int64_t first, int64_t end, const std::function<void(int64_t)>& passed);
  // Loads the block, where sequences run through it.
  void load();
  const Block& original() const { return original_ ? *original_ : *block_; }
  // The sums over the stage's inputs behind the quantized prefix: of each input that some linear
  // asks for as it is, and of each linear that weighs its tokens.
  StageStatistics sum_inputs(int stage, std::span<const LinearSlot> linears);
  // To the sums over a linear's weighted tokens what the gradients say beside the weights.
  void add_gradients(const LinearSlot& linear, LinearStatistics& sums);
  // The linear's output Hessian, or `input` where the gate asks for it.
  LinearStatistics output_statistics(const LinearSlot& linear, const ObjectiveOptions& objective,
                                     const LinearStatistics& input);

  const Model& model_;
  Execution execution_;
  CalibrationOptions options_;
  Progress& progress_;
  // Over nothing there is none of these.
  std::optional<Sequences> sequences_;
  std::optional<Stream> stream_;  // where some statistic is taken behind the quantized prefix
  std::optional<TensorStore> store_;
  std::optional<BackwardPass> backward_;  // where gradients are taken before each block
  std::optional<GradientStatistics> gradients_;
  TokenWeights input_weights_;  // of tokens in X^T X
  bool drift_ = false;          // output Hessians need the drift of their inputs
  // Where the calibration stands.
  int64_t index_ = -1;  // of the block entered last
  bool inside_ = false;
  bool replaced_unmeasured_ = false;  // in this block
  int next_stage_ = 0;
  std::optional<Block> block_, original_;  // original: in full precision, with two streams
};

}  // namespace halftone
