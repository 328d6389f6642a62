// What each token counts in a sum over tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/sequences.h"

namespace halftone {

struct TokenWeights {
  // (runs, sequences, length) float32, none negative: of each run of a linear's rows
  // (first_row_of_group in recipe/linear_recipe.h); undefined: one run, in which all tokens count 1
  at::Tensor values = {};

  int64_t runs() const { return values.defined() ? values.size(0) : 1; }
  // Of a batch's sequences, in a run.   -> (count, length); undefined: all 1
  at::Tensor of(int64_t run, const Batch& batch) const;
};

// The first token of each sequence counts `first`, the others 1.
TokenWeights first_token_weights(const Sequences& sequences, double first, at::Device device);

}  // namespace halftone
