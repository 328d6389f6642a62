// Which tokens of a batch the rows of an input are: all of them, or those that were sent to an
// expert (StageInput::rows).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace halftone {

class TokenRows {
 public:
  // rows: (tokens) int64, ascending, by their place among all tokens of the batch; undefined: all.
  TokenRows(at::Tensor rows, int64_t length);

  bool is_all() const { return !rows_.defined(); }
  // The sequence of the batch that each row is of, where they are not all.   -> (tokens) int64
  at::Tensor sequences() const;
  // Numbers of all tokens, of these.   values: (count, length) -> like it, or (tokens)
  at::Tensor of(const at::Tensor& values) const;
  // Of whole sequences, one number each.   values: (count) -> as `x` is multiplied by it
  at::Tensor of_sequences(const at::Tensor& values, const at::Tensor& x) const;
  // Rows to their places among all tokens, zeros elsewhere.   x: (tokens, width), or of all (count,
  // length, width) -> (count, length, width)
  at::Tensor spread(const at::Tensor& x, int64_t count) const;

 private:
  at::Tensor rows_;
  int64_t length_;
};

}  // namespace halftone
