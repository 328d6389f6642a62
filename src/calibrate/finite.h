// Sequences whose numbers overflowed: found, so that they can be left out and counted.
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/token_rows.h"

namespace halftone {

// Which sequences hold finite numbers only; undefined: all of them.   x: (batch, length, width) ->
// (batch) bool
at::Tensor finite_sequences(const at::Tensor& x);
// The same of the tokens of a batch of `count` sequences that are among its rows.   -> (count) bool
at::Tensor finite_sequences(const at::Tensor& x, const TokenRows& rows, int64_t count);

}  // namespace halftone
