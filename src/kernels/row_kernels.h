// What is bound by memory around the matrix products: the element-wise layers of a transformer
// block and the statistics of its logits. One pass over a row instead of one an operation:
// single-threaded, on raw pointers, rounding where the separate operations would round.
#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/instruction_set.h"

namespace halftone {

// Of one row of logits.
struct LogitSummary {
  int64_t greatest = 0;  // where the first greatest one is
  double log_sum = 0;    // log of the sum of exp; NaN if a logit is
};

template <class T>  // float or BFloat16Bits; arithmetic is float32, long sums are float64
struct RowKernels {
  // out = narrow(x / sqrt(mean(x^2) + epsilon)) * (weight + offset).   x, out: (rows, width);
  // weight: (width)
  void (*rms_norm)(int64_t rows, int64_t width, const T* x, const T* weight, float offset,
                   float epsilon, T* out);

  // The gradient at x, given the one at rms_norm's output; sizes as there.
  void (*rms_norm_gradient)(int64_t rows, int64_t width, const T* x, const T* weight, float offset,
                            float epsilon, const T* gradient, T* out);

  // Rotary embedding of one token, half-split form (Su et al. 2021): head h is read at x + h *
  // x_stride and goes to out + h * out_stride.   cosine, sine: (head_dim)
  void (*rotate)(int64_t heads, int64_t head_dim, const T* x, int64_t x_stride, const T* cosine,
                 const T* sine, int64_t out_stride, T* out);

  // out = narrow(gate / (1 + exp(-gate))) * up.   all: (count)
  void (*gated_silu)(int64_t count, const T* gate, const T* up, T* out);
  // The gradients at gate and up, given the one at gated_silu's output.   all: (count)
  void (*gated_silu_gradient)(int64_t count, const T* gate, const T* up, const T* gradient,
                              T* at_gate, T* at_up);

  LogitSummary (*summarize)(int64_t count, const T* logits);

  // -log p(label); its gradient at the logits, p with 1 less at the label, goes to out.
  // logits, out: (count), the same or apart
  double (*cross_entropy)(int64_t count, const T* logits, int64_t label, T* out);

  // out = factor * x.   x, out: (count)
  void (*scale)(int64_t count, const T* x, float factor, T* out);

  // factor * x = high + low, but for 2^-17 of it at most; whether any low is not 0.
  // x, high, low: (count)
  bool (*split)(int64_t count, const T* x, float factor, BFloat16Bits* high, BFloat16Bits* low);

  // sums += weight * x^2; returns the sum of x^2.   x: (count); sums: (count) or null
  float (*add_squares)(int64_t count, const T* x, float weight, float* sums);

  // KL(p | q) = sum p (log p - log q) of the distributions with these logits and sums; exactly 0
  // for equal logits.
  double (*divergence)(int64_t count, const T* p, double p_log_sum, const T* q, double q_log_sum);
};

// The loops compiled for `set`, which must be one of available_instruction_sets().
template <class T>
RowKernels<T> row_kernels(InstructionSet set = best_instruction_set());

}  // namespace halftone
