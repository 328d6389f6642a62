// The memory-bound layers of a transformer block, one pass over each row instead of one an
// operation: single-threaded, on raw pointers, rounding where the separate operations would round.
#pragma once

#include <cstdint>

#include "kernels/instruction_set.h"

namespace halftone {

// The bits of a bfloat16.
struct BFloat16Bits {
  uint16_t bits;
};

template <class T>  // float or BFloat16Bits; arithmetic is float32
struct RowKernels {
  // out = narrow(x / sqrt(mean(x^2) + epsilon)) * weight.   x, out: (rows, width); weight: (width)
  void (*rms_norm)(int64_t rows, int64_t width, const T* x, const T* weight, float epsilon, T* out);

  // Rotary embedding of one token, half-split form (Su et al. 2021): head h goes to out + h *
  // stride. x: (heads, head_dim); cosine, sine: (head_dim)
  void (*rotate)(int64_t heads, int64_t head_dim, const T* x, const T* cosine, const T* sine,
                 int64_t stride, T* out);

  // out = narrow(gate / (1 + exp(-gate))) * up.   all: (count)
  void (*gated_silu)(int64_t count, const T* gate, const T* up, T* out);
};

// The loops compiled for `set`, which must be one of available_instruction_sets().
template <class T>
RowKernels<T> row_kernels(InstructionSet set = best_instruction_set());

}  // namespace halftone
