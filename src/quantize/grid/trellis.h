// The trellis grid (methods.md 4.8; Tseng et al. 2024, QTIP, arXiv 2406.11235): tiles of 16 rows
// and 16 columns of a rotated linear (linear_rotation.h) are coded as one sequence of 256 weights.
// A weight's error counts 1 / c_j^2 of the factor and its row's scale squared; within a tile no
// error is passed on, and beyond it exactly what the chosen values leave (methods.md 7.3).
//
// Deviations from the paper: a scale for each row, not one for the matrix; columns of a tile weigh
// what their errors cost, not all alike.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/trellis_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"

namespace halftone {

template <class T>
class TrellisGrid final : public Grid<T> {
 public:
  // context: of whole tiles, columns in the file's order
  TrellisGrid(const GridChoice& choice, const GridContext<T>& context);

  int64_t joint_columns() const override { return kTrellisSide; }
  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void choose(Place at, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  float best_scale(const GridContext<T>& context) const;

  GridOptions options_;
  std::vector<float> values_;  // (states)
  TrellisRule rule_;
  TrellisKernels kernels_;
  std::vector<float> column_weights_;  // (in) 1 / c_j^2, the greatest 1
  float scale_of_unit_ = 1;            // of a row whose root mean square is 1
  at::Tensor scales_;                  // (rows) float32
  at::Tensor codes_, chosen_;          // (rows / 16, 256) uint8, float32: of the tile at hand
};

}  // namespace halftone
