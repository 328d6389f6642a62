// One linear of a model: its weight, its bias, and what is done to its input first.
#pragma once

#include <ATen/core/Tensor.h>

#include "matrix/orthogonal.h"

namespace halftone {

struct Linear {
  at::Tensor weight;                          // (out, in)
  at::Tensor bias = {};                       // (out); undefined: none
  const KroneckerMatrix* rotation = nullptr;  // of the inputs, as the model runs; null: none

  // x as the weight takes it: rotated where the inputs are, in float32 or wider, so that of
  // narrower types only the result is rounded.   x: (..., in)
  at::Tensor prepared(const at::Tensor& x) const;
  // x: (..., in), prepared -> (..., out)
  at::Tensor apply(const at::Tensor& x) const;
};

}  // namespace halftone
