// The vector grid (methods.md 4.7): eight weights of a row at a time become a point of a codebook,
// or two of four, with a sign each; groups have odd multiples of one float16 scale for 256 columns.
// The choice counts each column's error by its importance, 1 / c_j^2 of the factor, and the sweep
// passes on exactly what the chosen values leave (methods.md 7.3).
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"

namespace halftone {

// The scales that these stand for.   -> (out, groups) float32
at::Tensor group_scales(const VectorBlocks& blocks);

// Error: codes that are no points of the linear's codebook, or have signs that it does not allow.
void check_points(const QuantizedLinear& linear);

template <class T>
class VectorGrid final : public Grid<T> {
 public:
  // context: of a whole number of super-blocks, columns in the file's order
  VectorGrid(const GridChoice& choice, const GridContext<T>& context);

  int64_t fit_columns() const override { return kSuperBlock; }
  int64_t joint_columns() const override { return kVectorColumns; }
  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void choose(Place at, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  Codebook codebook_;
  const VectorRule& rule_;
  VectorGridKernels<T> kernels_;
  int64_t rows_;
  bool thorough_;
  at::Tensor scale_codes_, scales_;  // (groups, rows) T
  at::Tensor steps_;                 // (blocks, rows) T
  at::Tensor chosen_;                // (in, rows) uint8
};

}  // namespace halftone
