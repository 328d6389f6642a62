#include "calibrate/token_weights.h"

#include <ATen/ATen.h>

namespace halftone {

at::Tensor TokenWeights::of(int64_t run, const Batch& batch) const {
  return values.defined() ? values[run].narrow(0, batch.first, batch.count) : at::Tensor();
}

TokenWeights first_token_weights(const Sequences& sequences, double first, at::Device device) {
  const at::Tensor weights =
      at::ones({1, sequences.count(), sequences.length()}, at::device(device).dtype(at::kFloat));
  weights.select(2, 0).fill_(first);
  return {weights};
}

}  // namespace halftone
