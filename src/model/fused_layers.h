// The element-wise layers in one pass each (kernels/row_kernels.h), forward and, where autograd
// asks, backward: what layers.h computes by separate operations, to rounding. What they are given
// must lie in rows (model/row_access.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace halftone {

// Gradients flow to x, not to the weight.
at::Tensor fused_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                          double offset = 0);
// The table may be narrower than a head. x: (batch, length, heads * head_dim) -> (batch, heads,
// length, head_dim)
at::Tensor fused_rope(const at::Tensor& x, int64_t heads, const RopeTable& table);
at::Tensor fused_gated_silu(const at::Tensor& gate, const at::Tensor& up);

}  // namespace halftone
