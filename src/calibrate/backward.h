// The gradient of a loss through one block or one function, recomputed from the stored input. The
// only place that uses autograd: no graph outlives a call, so none spans two blocks.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "model/model.h"

namespace halftone {

// One linear's part: its weight's gradient for a sequence is G = delta^T input.
struct LinearGradient {
  std::string relative;  // "self_attn.q_proj"
  at::Tensor input;      // (batch, length, in), what the linear read; of an expert (tokens, in)
  at::Tensor delta;      // (batch, length, out) or (tokens, out), the gradient at its output
  // like `input`, what it reads in the full-precision model; undefined: nobody asked
  at::Tensor original = {};
  at::Tensor rows = {};  // of an expert, which tokens these are (StageInput::rows)
};

struct BlockGradient {
  std::vector<LinearGradient> linears;  // in the order of the family's table
  at::Tensor hidden;  // (batch, length, hidden), the gradient at the block's input
};

// What to compute of a BlockGradient; the rest stays empty.
struct GradientParts {
  bool linears = true, hidden = true;
};

// hidden: the block's input, gradient: the gradient at its output, (batch, length, hidden) both, in
// the block's dtype; experts: those that each token is sent to (BlockState::experts), undefined: by
// the router.
BlockGradient differentiate_block(const Model& model, const Block& block, const at::Tensor& hidden,
                                  const at::Tensor& gradient, GradientParts parts,
                                  const at::Tensor& experts = {});

// What the linears of a block read.
struct LinearInputs {
  std::vector<at::Tensor> x;  // of each, as in LinearGradient
  at::Tensor experts;         // that the tokens were sent to; undefined: the block has none
};
// By the same arithmetic to the bit.   hidden: as above
LinearInputs linear_inputs(const Model& model, const Block& block, const at::Tensor& hidden);

// The gradient at x of a function whose value alone says what the gradient there is.
// slope_of: from function(x) to the gradient at it; may reuse its memory
at::Tensor pull_back(const std::function<at::Tensor(const at::Tensor&)>& function,
                     const at::Tensor& x,
                     const std::function<at::Tensor(at::Tensor value)>& slope_of);

}  // namespace halftone
