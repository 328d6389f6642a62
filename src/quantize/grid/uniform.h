// The uniform grid w = scale * (code - zero), one scale and zero per row and group
// (methods.md 4.1, 4.6).
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/lane_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/grid/grid_choice.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// The recipe's grid as numbers for the kernels; resolves scale_bits = -1.
UniformRule uniform_rule(const GridOptions& options);
// The same, without a clip search where the choice is not thorough.
UniformRule rule_of(const GridChoice& choice);

template <class T>
class UniformGrid final : public Grid<T> {
 public:
  // rows: a multiple of 16
  UniformGrid(const UniformRule& rule, const LaneKernels<T>& kernels, int64_t groups, int64_t rows);

  void fit(Place at, int64_t columns, const T* tile, const T* importance) override;
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void range(Place at, T* low, T* high) const override;
  void store(QuantizedLinear& linear) const override;

  const UniformRule& rule() const { return rule_; }
  const at::Tensor& scales() const { return scales_; }  // (groups, rows) T
  const at::Tensor& zeros() const { return zeros_; }    // (groups, rows) T

 private:
  UniformRule rule_;
  LaneKernels<T> kernels_;
  int64_t rows_;
  at::Tensor scales_, zeros_;
  T *scale_of_, *zero_of_;  // the tensors' numbers
};

}  // namespace halftone
