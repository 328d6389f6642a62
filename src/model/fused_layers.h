// The element-wise layers in one pass each (kernels/row_kernels.h), for running without gradients
// on the CPU: what layers.h computes by separate operations, to rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace halftone {

// Whether the functions below may stand in for x's layer: float32 or bfloat16 in rows on the CPU,
// and nobody asks for its gradient.
bool can_fuse(const at::Tensor& x);

at::Tensor fused_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
// x: (batch, length, heads * head_dim) -> (batch, heads, length, head_dim)
at::Tensor fused_rope(const at::Tensor& x, int64_t heads, const RopeTable& table);
at::Tensor fused_gated_silu(const at::Tensor& gate, const at::Tensor& up);

}  // namespace halftone
