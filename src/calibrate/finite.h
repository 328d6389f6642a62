// Sequences whose numbers overflowed: found, so that they can be left out and counted.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// Which sequences hold finite numbers only; undefined: all of them.   x: (batch, length, width) ->
// (batch) bool
at::Tensor finite_sequences(const at::Tensor& x);

}  // namespace halftone
