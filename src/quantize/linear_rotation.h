// The rotation that belongs to one linear, on both of its sides (methods.md 8.5; Tseng et al. 2024,
// QuIP#, arXiv 2402.04396): random signs and Hadamard matrices make weights and their Hessian alike
// in all directions, as a code for Gaussian numbers wants them.
//
// The signs of a side depend on its width alone, so that linears of one input share a rotated
// Hessian; they are stored with the linear. All sums are taken in one order
// (kernels/lane_kernels.h): a stored linear means the same bits everywhere.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "quantize/quantized_linear.h"

namespace halftone {

// The order of the Hadamard matrices along a side: its width where there is one of that order, else
// the largest power of two that divides it.
int64_t rotation_block(int64_t width);

LinearRotation rotation_of(int64_t out, int64_t in);

// Q_out^T W Q_in.   weight: (out, in) float32 or float64 -> the same
at::Tensor rotate(const at::Tensor& weight, const LinearRotation& rotation);
// Q_out W Q_in^T, the way back, inputs first.
at::Tensor rotate_back(const at::Tensor& weight, const LinearRotation& rotation);

// Q^T X Q with Q of an input of this width, in float64 up to 2048 columns.
// moment: (in, in), or undefined -> the same
at::Tensor rotate_moment(const at::Tensor& moment);

// Errors: signs that are none, blocks that do not divide the sides or have no Hadamard matrix.
void check_rotation(const LinearRotation& rotation, int64_t out, int64_t in);

}  // namespace halftone
