#include "calibrate/activation_store.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

at::Tensor part_of(const BlockState& state, size_t i) {
  return i < state.parts.size() ? state.parts[i] : at::Tensor();
}

}  // namespace

ActivationStore::ActivationStore(at::Tensor hidden, const std::vector<int64_t>& widths)
    : hidden_(std::move(hidden)) {
  const int64_t tokens = hidden_.size(0) * hidden_.size(1);
  for (const int64_t width : widths)
    parts_.push_back({width, at::empty({tokens * width}, hidden_.options()),
                      std::vector<int64_t>(static_cast<size_t>(hidden_.size(0)))});
}

at::Tensor ActivationStore::place(const Part& part, int64_t first, int64_t count,
                                  int64_t width) const {
  const int64_t length = hidden_.size(1);
  return part.numbers.narrow(0, first * length * part.greatest, count * length * width)
      .view({count, length, width});
}

BlockState ActivationStore::take(int64_t first, int64_t count, at::ScalarType dtype) const {
  BlockState state{hidden_.narrow(0, first, count).to(dtype)};
  for (const Part& part : parts_) {
    const int64_t width = part.widths[static_cast<size_t>(first)];
    state.parts.push_back(width > 0 ? place(part, first, count, width).to(dtype) : at::Tensor());
  }
  return state;
}

void ActivationStore::put(int64_t first, const BlockState& state, const BlockState& taken) {
  const int64_t count = state.hidden.size(0);
  if (!state.hidden.is_same(taken.hidden)) hidden_.narrow(0, first, count).copy_(state.hidden);
  for (size_t i = 0; i < parts_.size(); ++i) {
    const at::Tensor now = part_of(state, i);
    const int64_t width = now.defined() ? now.size(2) : 0;
    if (width > 0 && !now.is_same(part_of(taken, i)))
      place(parts_[i], first, count, width).copy_(now);
    std::fill_n(parts_[i].widths.begin() + first, count, width);
  }
}

}  // namespace halftone
