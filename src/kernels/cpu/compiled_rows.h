// The row kernels of one instruction set. Included once per instruction set; see vector.h.
#pragma once

#include "kernels/cpu/layer_rows.h"
#include "kernels/cpu/logit_rows.h"
#include "kernels/row_kernels.h"

namespace halftone::cpu {

template <class T, int kBytes>
RowKernels<T> row_kernels_of() {
  using Layers = LayerRows<T, kBytes>;
  using Logits = LogitRows<T, kBytes>;
  return {Layers::rms_norm,
          Layers::rms_norm_gradient,
          Layers::rotate,
          Layers::gated_silu,
          Layers::gated_silu_gradient,
          Logits::summarize,
          Logits::cross_entropy,
          Layers::scale,
          Layers::split,
          Layers::add_squares,
          Logits::divergence};
}

RowKernels<float> row_kernels_portable(float);
RowKernels<BFloat16Bits> row_kernels_portable(BFloat16Bits);
RowKernels<float> row_kernels_avx2(float);
RowKernels<BFloat16Bits> row_kernels_avx2(BFloat16Bits);
RowKernels<float> row_kernels_avx512(float);
RowKernels<BFloat16Bits> row_kernels_avx512(BFloat16Bits);

}  // namespace halftone::cpu
