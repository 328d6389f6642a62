#include "calibrate/activations.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace halftone {
namespace {

at::Tensor part_of(const BlockState& state, size_t i) {
  return i < state.parts.size() ? state.parts[i] : at::Tensor();
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

}  // namespace

Activations::Activations(at::Tensor hidden, const std::vector<int64_t>& widths, int64_t experts)
    : hidden_(std::move(hidden)), experts_(room(experts, at::kInt)) {
  for (const int64_t width : widths) parts_.push_back(room(width, hidden_.scalar_type()));
}

Activations::Part Activations::room(int64_t greatest, at::ScalarType type) const {
  const int64_t tokens = hidden_.size(0) * hidden_.size(1);
  return {greatest, at::empty({tokens * greatest}, hidden_.options().dtype(type)),
          std::vector<int64_t>(static_cast<size_t>(hidden_.size(0)))};
}

Activations Activations::copy() const {
  std::vector<int64_t> widths;
  for (const Part& part : parts_) widths.push_back(part.greatest);
  return Activations(hidden_.clone(), widths, experts_.greatest);
}

at::Tensor Activations::place(const Part& part, const Batch& batch, int64_t width) const {
  const int64_t length = hidden_.size(1);
  return part.numbers.narrow(0, batch.first * length * part.greatest, batch.count * length * width)
      .view({batch.count, length, width});
}

at::Tensor Activations::numbers(const Part& part, const Batch& batch, at::ScalarType dtype) const {
  const int64_t width = part.widths[static_cast<size_t>(batch.first)];
  return width > 0 ? place(part, batch, width).to(dtype) : at::Tensor();
}

void Activations::write(Part& part, const Batch& batch, const at::Tensor& now,
                        const at::Tensor& taken) {
  const int64_t width = now.defined() ? now.size(2) : 0;
  if (width > 0 && !now.is_same(taken)) place(part, batch, width).copy_(now);
  std::fill_n(part.widths.begin() + batch.first, batch.count, width);
}

BlockState Activations::take(const Batch& batch, at::ScalarType dtype) const {
  BlockState state{hidden(batch).to(dtype)};
  for (const Part& part : parts_) state.parts.push_back(numbers(part, batch, dtype));
  state.experts = numbers(experts_, batch, at::kInt);
  return state;
}

void Activations::put(const Batch& batch, const BlockState& state, const BlockState& taken) {
  if (!state.hidden.is_same(taken.hidden)) hidden(batch).copy_(state.hidden);
  for (size_t i = 0; i < parts_.size(); ++i)
    write(parts_[i], batch, part_of(state, i), part_of(taken, i));
  write(experts_, batch, state.experts, taken.experts);
}

Activations embedded(const Model& model, const Sequences& sequences, const Execution& execution,
                     at::ScalarType storage) {
  Activations all(at::empty({sequences.count(), sequences.length(), model.config().hidden},
                            at::device(execution.device).dtype(storage)),
                  widths_of_parts(model), model.config().mixture.per_token);
  for (const Batch& batch : sequences.batches())
    all.put(batch, {model.embed(sequences.items(batch), execution)});
  return all;
}

}  // namespace halftone
