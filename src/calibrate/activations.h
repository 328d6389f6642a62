// What flows from block to block and from stage to stage, of all sequences: one allocation for each
// kind. Pieces that come and go with every batch would leave holes all over the heap, several times
// what they hold.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "calibrate/sequences.h"
#include "model/model.h"

namespace halftone {

class Activations {
 public:
  // hidden: (sequences, length, hidden) in the dtype to keep; widths: the greatest of each of
  // BlockState's parts, none where the sequences only stand between blocks; experts: of a token,
  // in a mixture. Pages are taken when they are written first.
  explicit Activations(at::Tensor hidden, const std::vector<int64_t>& widths = {},
                       int64_t experts = 0);

  // The state of a batch's sequences in `dtype`: what `put` left there last.
  BlockState take(const Batch& batch, at::ScalarType dtype) const;
  // state.hidden: (count, length, hidden), others: (count, length, width) or undefined. What
  // is still the very tensor that `take` gave out is not written again.
  void put(const Batch& batch, const BlockState& state, const BlockState& taken = {});

  const at::Tensor& hidden() const { return hidden_; }  // (sequences, length, hidden)
  // The batch's place in it.   -> (count, length, hidden)
  at::Tensor hidden(const Batch& batch) const {
    return hidden_.narrow(0, batch.first, batch.count);
  }
  // The same between two blocks, where nothing else is on its way, with numbers of its own.
  Activations copy() const;

 private:
  struct Part {
    int64_t greatest;                  // width
    at::Tensor numbers;                // (sequences * length * greatest)
    std::vector<int64_t> widths = {};  // of each sequence; 0: nothing is on its way
  };
  // `greatest` numbers a token at most, in `type`.
  Part room(int64_t greatest, at::ScalarType type) const;
  // The batch's place in a part, `width` numbers a token.
  at::Tensor place(const Part& part, const Batch& batch, int64_t width) const;
  at::Tensor numbers(const Part& part, const Batch& batch, at::ScalarType dtype) const;
  void write(Part& part, const Batch& batch, const at::Tensor& now, const at::Tensor& taken);

  at::Tensor hidden_;
  std::vector<Part> parts_;
  Part experts_;
};

// What enters the first block, kept in `storage`, with room for the parts of the model's states.
Activations embedded(const Model& model, const Sequences& sequences, const Execution& execution,
                     at::ScalarType storage);

}  // namespace halftone
