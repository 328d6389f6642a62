// What flows between the stages, kept for all sequences: one allocation for each kind. Pieces that
// come and go with every batch would leave holes all over the heap, several times what they hold.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/family.h"

namespace halftone {

class ActivationStore {
 public:
  // hidden: (sequences, length, hidden) in the dtype to keep; carry_width: of the widest input that
  // any stage hands on. Pages are taken when they are written first.
  ActivationStore(at::Tensor hidden, int64_t carry_width);

  // The state of `count` sequences from `first` on, in `dtype`; what `put` left there last.
  BlockState take(int64_t first, int64_t count, at::ScalarType dtype) const;
  // state.hidden: (count, length, hidden), state.carry: (count, length, width) or undefined. What
  // is still the very tensor that `take` gave out is not written again.
  void put(int64_t first, const BlockState& state, const BlockState& taken = {});

  const at::Tensor& hidden() const { return hidden_; }

 private:
  // The place of `count` sequences, `width` numbers a token.
  at::Tensor carry(int64_t first, int64_t count, int64_t width) const;

  at::Tensor hidden_;
  int64_t carry_width_;
  at::Tensor carry_;                    // (sequences * length * carry_width)
  std::vector<int64_t> carried_width_;  // of each sequence; 0: nothing is carried
};

}  // namespace halftone
