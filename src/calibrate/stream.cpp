#include "calibrate/stream.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cassert>
#include <optional>
#include <utility>

#include "calibrate/cross_moment.h"
#include "calibrate/finite.h"
#include "calibrate/held_out.h"
#include "calibrate/input_hessian.h"

namespace halftone {
namespace {

// Of the sequences in the mask, all tokens one after another.   x: (batch, length, ...) or
// undefined
at::Tensor rows_of(const at::Tensor& x, const at::Tensor& mask) {
  return x.defined() ? (mask.defined() ? x.index({mask}) : x).flatten(0, 1) : x;
}

// How many of the rows in the mask are of the first `count` sequences.
int64_t rows_in(const at::Tensor& mask, int64_t count, int64_t length) {
  return length * (mask.defined() ? mask.narrow(0, 0, count).sum().item<int64_t>() : count);
}

at::Tensor part_of(const at::Tensor& x, int64_t first, int64_t count) {
  return x.defined() ? x.narrow(0, first, count) : x;
}

}  // namespace

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
                                              const std::vector<at::Tensor>& weights) {
  const auto input_of = [&](const Block& of, BlockState& state) {
    if (stage > 0) (void)model_.advance(of, stage - 1, model_.inputs(of, stage - 1, state), state);
    const std::vector<StageInput> inputs = model_.inputs(of, stage, state);
    assert(inputs.size() == 1);  // statistics by input come with the first family that has more
    return inputs.front().x;
  };
  const int64_t in = model_.linears_of_stage(block.index, stage).front().in;
  std::vector<InputHessian> hessians;
  std::vector<CrossMoment> moments;  // with two streams
  for (size_t i = 0; i < weights.size(); ++i) {
    hessians.emplace_back(in, execution_.device);
    if (original_) moments.emplace_back(in, execution_.device);
  }
  std::optional<HeldOutSums> held_out;
  if (sequences_.held_out() > 0 && !weights.empty()) held_out.emplace(in, execution_.device);
  int64_t left_out = 0;
  for_each_batch([&](const Batch& batch, States& states) {
    const at::Tensor x = input_of(block, states.quantized), finite = finite_sequences(x);
    const at::Tensor rows = rows_of(x, finite);
    sequences_.leave_out(finite, batch.first, LeftOutFor::kInputs);
    if (finite.defined()) left_out += batch.count - finite.sum().item<int64_t>();
    const int64_t summed = rows_in(finite, sequences_.not_held_out(batch), x.size(1));
    const int64_t rest = rows.size(0) - summed;
    at::Tensor full;
    if (original_) full = rows_of(input_of(original, states.original), finite);
    for (size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor own =
          part_of(rows_of(part_of(weights[i], batch.first, batch.count), finite), 0, summed);
      hessians[i].add(rows.narrow(0, 0, summed), own);
      if (original_) moments[i].add(rows.narrow(0, 0, summed), full.narrow(0, 0, summed), own);
    }
    if (held_out) held_out->add(rows.narrow(0, summed, rest), full.narrow(0, summed, rest));
  });
  sequences_.require_few_left_out(fmt::format("block {}", block.index));
  std::vector<LinearStatistics> statistics;
  for (InputHessian& hessian : hessians) statistics.push_back(hessian.finish());
  for (size_t i = 0; i < moments.size(); ++i) statistics[i].cross_moment = moments[i].finish();
  std::optional<HeldOutInputs> sums;
  if (held_out) sums = held_out->finish();
  for (LinearStatistics& own : statistics) {
    own.skipped_sequences = left_out;
    own.held_out = sums;
  }
  return statistics;
}

void Stream::leave(const Block& block, const Block& original) {
  const int last = model_.family().stages - 1;
  const auto advance = [&](const Block& of, BlockState& state) {
    (void)model_.advance(of, last, model_.inputs(of, last, state), state);
  };
  for_each_batch([&](const Batch&, States& states) {
    advance(block, states.quantized);
    if (original_) advance(original, states.original);
  });
}

}  // namespace halftone
