// The grid in super-blocks (methods.md 4.3): the K-quants of GGUF. 256 columns of a row share a
// float16 scale and, at 2, 4 and 5 bits, a float16 offset, of which its groups have whole
// multiples. All numbers of a super-block are found together. IQ4_XS differs in what its codes
// stand for, IQ4_NL has blocks of one group besides.
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"

namespace halftone {

// For the kernels.   options: of this kind
SuperBlockRule super_block_rule(const GridOptions& options);

template <class T>
class SuperBlockGrid final : public Grid<T> {
 public:
  // context: of a whole number of super-blocks
  SuperBlockGrid(const GridChoice& choice, const GridContext<T>& context);

  int64_t fit_columns() const override { return int64_t{rule_.groups} * rule_.columns; }
  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  SuperBlockRule rule_;
  Levels levels_;
  SuperBlockKernels<T> kernels_;
  int64_t rows_;
  at::Tensor scale_codes_, offset_codes_;  // (groups, rows) T
  at::Tensor scales_, offsets_;            // (groups, rows) T, of the groups
  at::Tensor steps_, offset_steps_;        // (blocks, rows) T
};

}  // namespace halftone
