#include "calibrate/activation_store.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {

ActivationStore::ActivationStore(at::Tensor hidden, int64_t carry_width)
    : hidden_(std::move(hidden)),
      carry_width_(carry_width),
      carry_(at::empty({hidden_.size(0) * hidden_.size(1) * carry_width}, hidden_.options())),
      carried_width_(static_cast<size_t>(hidden_.size(0))) {}

at::Tensor ActivationStore::carry(int64_t first, int64_t count, int64_t width) const {
  const int64_t length = hidden_.size(1);
  return carry_.narrow(0, first * length * carry_width_, count * length * width)
      .view({count, length, width});
}

BlockState ActivationStore::take(int64_t first, int64_t count, at::ScalarType dtype) const {
  BlockState state{hidden_.narrow(0, first, count).to(dtype), {}};
  const int64_t width = carried_width_[static_cast<size_t>(first)];
  if (width > 0) state.carry = carry(first, count, width).to(dtype);
  return state;
}

void ActivationStore::put(int64_t first, const BlockState& state, const BlockState& taken) {
  const int64_t count = state.hidden.size(0);
  if (!state.hidden.is_same(taken.hidden)) hidden_.narrow(0, first, count).copy_(state.hidden);
  const int64_t width = state.carry.defined() ? state.carry.size(2) : 0;
  if (width > 0 && !state.carry.is_same(taken.carry)) carry(first, count, width).copy_(state.carry);
  std::fill_n(carried_width_.begin() + first, count, width);
}

}  // namespace halftone
