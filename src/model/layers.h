// The layers of transformers, as plain functions on tensors. Nothing is changed in place that a
// caller handed in, so autograd can run through all of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/config.h"

namespace halftone {

// x / sqrt(mean(x^2) + epsilon) * (weight + offset), the mean in float32 or wider (Zhang & Sennrich
// 2019).   x: (..., width); weight: (width)
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    double offset = 0);
// The same of every part of x that is as wide as the weight: of each head, or of all.
// x: (..., a multiple of width)
at::Tensor rms_norm_of_parts(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                             double offset = 0);

// (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias (Ba et al. 2016).   x: (..., width);
// weight, bias: (width)
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon);

// Rotary embeddings (Su et al. 2021), half-split form: cos and sin of every position and frequency
// pair.
struct RopeTable {
  at::Tensor cos, sin;  // (length, rotary_dim)
};
struct RopeOptions {
  int64_t dim = 0;  // how much of a head rotates
  double theta = 10000;
  RopeScaling scaling = {};
};
// Of each pair, in radians a token, after scaling, in sequences of `length` tokens at most.
// -> dim / 2
std::vector<double> rope_frequencies(const RopeOptions& options, int64_t length = 0);
RopeTable make_rope_table(const RopeOptions& options, int64_t length, at::Device device,
                          at::ScalarType dtype);
// The first numbers of each head, as many as the table is wide; the others stay.
// x: (batch, heads, length, head_dim)
at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

// silu(gate) * up (Shazeer 2020).
at::Tensor gated_silu(const at::Tensor& gate, const at::Tensor& up);
at::Tensor activated(const at::Tensor& x, Activation activation);
// activated(gate) * up
at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation);

// min(gate, limit) sigmoid(slope min(gate, limit)) (clamp(up, -limit, limit) + 1)
at::Tensor clamped_gate(const at::Tensor& gate, const at::Tensor& up, const GateClamp& clamp);

// cap * tanh(x / cap); 0: x.
at::Tensor soft_capped(const at::Tensor& x, double cap);

}  // namespace halftone
