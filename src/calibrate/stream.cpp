#include "calibrate/stream.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>
#include <optional>

#include "base/error.h"
#include "calibrate/cross_moment.h"
#include "calibrate/finite.h"
#include "calibrate/held_out.h"
#include "calibrate/input_hessian.h"

namespace halftone {
namespace {

constexpr int64_t kTokensPerBatch =
    2048;  // enough for full GEMM rate, small enough to stay out of the way

// Of the sequences in the mask, all tokens one after another.   x: (batch, length, ...) or
// undefined
at::Tensor rows_of(const at::Tensor& x, const at::Tensor& mask) {
  return x.defined() ? (mask.defined() ? x.index({mask}) : x).flatten(0, 1) : x;
}

// How many of the rows in the mask are of the first `kept` sequences.
int64_t rows_in(const at::Tensor& mask, int64_t kept, int64_t length) {
  return length * (mask.defined() ? mask.narrow(0, 0, kept).sum().item<int64_t>() : kept);
}

at::Tensor part_of(const at::Tensor& x, int64_t first, int64_t count) {
  return x.defined() ? x.narrow(0, first, count) : x;
}

// The greatest of each of BlockState's parts.
std::vector<int64_t> widths_of_parts(const Model& model) {
  std::vector<int64_t> widths;
  for (const StatePart& part : model.family().parts) {
    widths.push_back(0);
    for (const Dim dim : part.widths)
      widths.back() = std::max(widths.back(), size_of(dim, model.config()));
  }
  return widths;
}

// -> (sequences, length, hidden) in `storage`
at::Tensor embedded(const Model& model, const at::Tensor& ids, int64_t batch,
                    const Execution& execution, at::ScalarType storage) {
  const at::Tensor hidden = at::empty({ids.size(0), ids.size(1), model.config().hidden},
                                      at::device(execution.device).dtype(storage));
  for (int64_t first = 0; first < ids.size(0); first += batch) {
    const int64_t count = std::min(batch, ids.size(0) - first);
    hidden.narrow(0, first, count).copy_(model.embed(ids.narrow(0, first, count), execution));
  }
  return hidden;
}

}  // namespace

Stream::Stream(const Model& model, const at::Tensor& ids, const Execution& execution,
               bool two_streams, at::ScalarType storage)
    : model_(model),
      execution_(execution),
      positions_(model.positions(ids.size(1), execution)),
      sequences_(ids.size(0)),
      batch_(std::max<int64_t>(1, kTokensPerBatch / ids.size(1))),
      quantized_(embedded(model, ids, batch_, execution, storage), widths_of_parts(model)) {
  if (two_streams) original_.emplace(quantized_.hidden().clone(), widths_of_parts(model));
}

template <class Work>
void Stream::for_each_batch(Work&& work) {
  const at::NoGradGuard no_grad;
  for (int64_t first = 0; first < sequences_; first += batch_) {
    const int64_t count = std::min(batch_, sequences_ - first);
    Batch taken{first, quantized_.take(first, count, execution_.dtype), {}};
    if (original_) taken.original = original_->take(first, count, execution_.dtype);
    Batch batch = taken;
    work(batch);
    quantized_.put(first, batch.state, taken.state);
    if (original_) original_->put(first, batch.original, taken.original);
  }
}

std::vector<at::Tensor> Stream::hidden() const {
  return quantized_.hidden().split(batch_, 0);
}

std::vector<at::Tensor> Stream::original_hidden() const {
  return original_->hidden().split(batch_, 0);
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
  if (held_out_ > 0 && !weights.empty()) held_out.emplace(in, execution_.device);
  int64_t dropped = 0;
  for_each_batch([&](Batch& batch) {
    const at::Tensor x = input_of(block, batch.state), finite = finite_sequences(x);
    const at::Tensor rows = rows_of(x, finite);
    if (finite.defined()) dropped += x.size(0) - finite.sum().item<int64_t>();
    const int64_t kept = std::clamp<int64_t>(sequences_ - held_out_ - batch.first, 0, x.size(0));
    const int64_t summed = rows_in(finite, kept, x.size(1)), rest = rows.size(0) - summed;
    at::Tensor full;
    if (original_) full = rows_of(input_of(original, batch.original), finite);
    for (size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor own =
          part_of(rows_of(part_of(weights[i], batch.first, x.size(0)), finite), 0, summed);
      hessians[i].add(rows.narrow(0, 0, summed), own);
      if (original_) moments[i].add(rows.narrow(0, 0, summed), full.narrow(0, 0, summed), own);
    }
    if (held_out) held_out->add(rows.narrow(0, summed, rest), full.narrow(0, summed, rest));
  });
  dropped_ = std::max(dropped_, dropped);
  require(dropped_ * 100 <= sequences_,
          "block {}: the inputs of {} of {} calibration sequences are not finite; a model that "
          "overflows "
          "cannot be calibrated (try --compute float32)",
          block.index, dropped_, sequences_);
  std::vector<LinearStatistics> statistics;
  for (InputHessian& hessian : hessians) statistics.push_back(hessian.finish());
  for (size_t i = 0; i < moments.size(); ++i) statistics[i].cross_moment = moments[i].finish();
  std::optional<HeldOutInputs> sums;
  if (held_out) sums = held_out->finish();
  for (LinearStatistics& own : statistics) {
    own.skipped_sequences = dropped;
    own.held_out = sums;
  }
  return statistics;
}

void Stream::leave(const Block& block, const Block& original) {
  const int last = model_.family().stages - 1;
  const auto advance = [&](const Block& of, BlockState& state) {
    (void)model_.advance(of, last, model_.inputs(of, last, state), state);
  };
  for_each_batch([&](Batch& batch) {
    advance(block, batch.state);
    if (original_) advance(original, batch.original);
  });
}

}  // namespace halftone
