// Outliers that were decided on before the sweep and stay out of any grid, in float16: what
// statistical pre-calibration (Ghaffari et al. 2025, arXiv 2501.09107) makes of a grid without
// scales for outliers. A Grid that holds another one, which is fitted to the others only: outliers
// are replaced by their mean, as outliers by sensitivity are (methods.md 5.1, step A).
#pragma once

#include <memory>

#include "quantize/grid/grid.h"
#include "quantize/grid/grid_context.h"
#include "quantize/grid/outlier_mask.h"
#include "quantize/outliers/kept_weights.h"

namespace halftone {

template <class T>
class FrozenOutliers final : public Grid<T> {
 public:
  // mask: which
  FrozenOutliers(std::unique_ptr<Grid<T>> inner, const OutlierMask& mask,
                 const GridContext<T>& context);

  int64_t fit_columns() const override { return inner_->fit_columns(); }
  int64_t block_columns() const override { return inner_->block_columns(); }
  void begin_block(int64_t begin, int64_t end, const T* weights) override;
  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  std::unique_ptr<Grid<T>> inner_;
  MaskedGroups mask_;
  KeptWeights kept_;
};

}  // namespace halftone
