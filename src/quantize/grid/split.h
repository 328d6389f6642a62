// The split grid of AdpQ (Ghaffari et al. 2024, arXiv 2405.13358; methods.md 4.5): in every row and
// group the bulk and the outliers each have a scale (and a zero) of their own, fitted to their own
// members only. Which weights are outliers is decided before the sweep and kept.
//
// Outlier codes are those of a uniform grid like the bulk's, as in the replication, or (ours) a
// sign and a magnitude that starts at the smallest outlier: +-(floor + scale * magnitude), which
// spends no code on the gap around zero.
//
// Deviations from the replication: groups do not cross rows; scales themselves are stored, not
// their inverses; symmetric scales start from 2 max|w| / (2^bits - 1) as those of every other grid
// here do.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/lane_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"
#include "quantize/grid/outlier_mask.h"
#include "recipe/linear_recipe.h"

namespace halftone {

template <class T>
class SplitGrid final : public Grid<T> {
 public:
  // choice.mask: which; must be there
  SplitGrid(const GridChoice& choice, const GridContext<T>& context);

  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  struct Part {  // the bulk's grids, or the outliers'
    UniformRule rule;
    at::Tensor scales, zeros;  // (groups, rows) T

    Part(const UniformRule& of, int64_t groups, int64_t rows);
    T* scale(int64_t where) { return scales.template mutable_data_ptr<T>() + where; }
    T* zero(int64_t where) { return zeros.template mutable_data_ptr<T>() + where; }
  };

  // What an outlier's code counts from the floor: |w| - floor, at least 0; w itself on a uniform
  // grid.
  T coded(T weight) const;

  int64_t rows_;
  LaneKernels<T> kernels_;
  bool sign_magnitude_;
  T floor_;
  Part bulk_, outliers_;
  at::Tensor members_;  // (out, in) bool
  MaskedGroups mask_;
};

}  // namespace halftone
