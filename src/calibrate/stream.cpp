#include "calibrate/stream.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cassert>
#include <utility>

#include "calibrate/input_sums.h"

namespace halftone {

Stream::Stream(const Model& model, Sequences& sequences, Activations embedded,
               const Execution& execution, bool two_streams)
    : model_(model),
      execution_(execution),
      positions_(model.positions(sequences.length(), execution)),
      sequences_(sequences),
      quantized_(std::move(embedded)) {
  if (two_streams) original_.emplace(quantized_.copy());
}

template <class Work>
void Stream::for_each_batch(Work&& work) {
  const at::NoGradGuard no_grad;
  for (const Batch& batch : sequences_.batches()) {
    States taken{quantized_.take(batch, execution_.dtype), {}};
    if (original_) taken.original = original_->take(batch, execution_.dtype);
    States states = taken;
    work(batch, states);
    quantized_.put(batch, states.quantized, taken.quantized);
    if (original_) original_->put(batch, states.original, taken.original);
  }
}

std::vector<LinearStatistics> Stream::measure(const Block& block, const Block& original, int stage,
                                              std::span<const StageSum> asked) {
  assert(stage == next_stage_);
  next_stage_ = stage + 1;
  const auto advance_to = [&](const Block& of, BlockState& state) {
    if (stage > 0) (void)model_.advance(of, stage - 1, model_.inputs(of, stage - 1, state), state);
  };
  StageSums sums(model_.linears_of_stage(block.index, stage), asked, original_.has_value(),
                 sequences_, execution_.device);
  for_each_batch([&](const Batch& batch, States& states) {
    advance_to(block, states.quantized);
    std::vector<StageInput> full;
    if (original_) {
      advance_to(original, states.original);
      full = model_.inputs(original, stage, states.original);
      states.quantized.experts = states.original.experts;
    }
    const std::vector<StageInput> inputs = model_.inputs(block, stage, states.quantized);
    sums.add(batch, inputs, full);
  });
  sequences_.require_few_left_out(fmt::format("block {}", block.index));
  return sums.finish();
}

void Stream::leave(const Block& block, const Block& original) {
  const int last = model_.family().stages - 1;
  assert(next_stage_ == last + 1);
  next_stage_ = 0;
  const auto advance = [&](const Block& of, BlockState& state) {
    (void)model_.advance(of, last, model_.inputs(of, last, state), state);
  };
  for_each_batch([&](const Batch&, States& states) {
    advance(block, states.quantized);
    if (original_) advance(original, states.original);
  });
}

LinearStatistics Stream::measure_head(const TokenWeights& weights) {
  const Head head = model_.load_head_tensors(execution_);
  InputSums sums(model_.config().embedding_width, {weights}, original_.has_value(), sequences_,
                 execution_.device);
  for_each_batch([&](const Batch& batch, States& states) {
    StageInput full;
    if (original_) full.x = model_.head_input(head, states.original.hidden);
    sums.add(batch, {model_.head_input(head, states.quantized.hidden)}, full);
  });
  sequences_.require_few_left_out("head");
  return std::move(sums.finish().front());
}

}  // namespace halftone
