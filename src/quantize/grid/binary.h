// The binary grid (methods.md 4.4; Huang et al. 2024, BiLLM, arXiv 2402.04291): a sign for most
// weights, two for those of salient columns. Everything is decided at the start of a lazy block,
// which is a group: the structure (binary_structure.h), and for every row the mean and scale of
// four binarizations. What is left for the sweep are the signs:
//
//   columns  nearest level of the weight as compensated up to its column (ours)
//   joint    the binarization of the weights at block start. The sweep's own updates then make the
//            exact correction of a block coded at once (methods.md 7.3)
//   parity   the published code's arithmetic: searched on the metric, plain means, signs as joint,
//            and errors that only reach columns beyond the block (SweepTask::within_block)
//
// Deviations from that code: sign(0) is + (a file has no third sign); blocks of fewer than 50
// columns are searched as far as they go; dead columns are 0, for which no code stands.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quantize/grid/binary_structure.h"
#include "quantize/grid/grid.h"
#include "recipe/linear_recipe.h"

namespace halftone {

template <class T>
class BinaryGrid final : public Grid<T> {
 public:
  // importance: (in) 1 / c^2 by position, 0: a dead column; rows: a multiple of 16, of which `out`
  // are not padding. mode: what is searched and chosen, in place of the options'. scale_bits 0:
  // means and scales stay float32, else float16.
  BinaryGrid(const GridOptions& options, BinaryMode mode, std::vector<T> importance, int64_t out,
             int64_t rows, const LaneKernels<T>& kernels, int threads);

  int64_t block_columns() const override;  // a group is decided on as a whole
  void begin_block(int64_t begin, int64_t end, const T* weights) override;
  void fit(Place, int64_t, const T*, const T*) override {}  // begin_block has done it
  void round(Place at, const T* weights, uint8_t* codes, T* values) override;
  void store(QuantizedLinear& linear) const override;

 private:
  void store_fit(int64_t group, const BinaryFit<T>& fit);
  void choose_codes(const BinaryBlock<T>& block, const BinaryStructure<T>& structure,
                    int64_t group);

  GridOptions options_;
  BinaryMode mode_;
  std::vector<T> importance_;  // (in)
  int64_t out_, rows_;
  BinaryKernels<T> kernels_;
  int threads_;
  std::vector<uint8_t> salient_;  // (in)
  at::Tensor means_, scales_;     // (groups, 4, rows) float32, see BinaryPlanes
  at::Tensor levels_;             // (groups, 8, rows) T
  // of the block under way
  int64_t begin_ = 0;
  std::vector<uint8_t> start_codes_;  // (columns, rows), at block start
};

}  // namespace halftone
