// What flows between the stages, kept for all sequences: one allocation for each kind. Pieces that
// come and go with every batch would leave holes all over the heap, several times what they hold.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/family.h"

namespace halftone {

class ActivationStore {
 public:
  // hidden: (sequences, length, hidden) in the dtype to keep; widths: the greatest of each of
  // BlockState's parts. Pages are taken when they are written first.
  ActivationStore(at::Tensor hidden, const std::vector<int64_t>& widths);

  // The state of `count` sequences from `first` on, in `dtype`; what `put` left there last.
  BlockState take(int64_t first, int64_t count, at::ScalarType dtype) const;
  // state.hidden: (count, length, hidden), state.parts: (count, length, width) or undefined. What
  // is still the very tensor that `take` gave out is not written again.
  void put(int64_t first, const BlockState& state, const BlockState& taken = {});

  const at::Tensor& hidden() const { return hidden_; }

 private:
  struct Part {
    int64_t greatest;                  // width
    at::Tensor numbers;                // (sequences * length * greatest)
    std::vector<int64_t> widths = {};  // of each sequence; 0: nothing is on its way
  };
  // The place of `count` sequences, `width` numbers a token.
  at::Tensor place(const Part& part, int64_t first, int64_t count, int64_t width) const;

  at::Tensor hidden_;
  std::vector<Part> parts_;
};

}  // namespace halftone
