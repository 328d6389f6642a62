// The one sweep (methods.md 7.1): columns are rounded in order, and what rounding one of them costs
// is made up for by the columns that are still free. Frantar et al. 2022 (GPTQ, arXiv 2210.17323),
// with lazy blocks.
//
// Recipes differ in what is plugged in: `Grid` (values, outliers), `upper` (objective and damping;
// none = round to nearest), the order and the grouping. Two-stream targets add a matrix P beside
// `upper` and what it carries at the two marked places: GPTAQ (arXiv 2504.02692), and ResComp
// (arXiv 2604.07955) in the form (E', S) of methods.md 3.3, which needs no second product. With
// `parity` the columns beyond a block are told what the published code tells them: E' and S of the
// rounded weight (GPTAQ, ResComp "org"), or of the weight clamped to the range of the block's last
// group (ResComp "allw"); the result then depends on the block's width, 128 there.
//
// Deviation from GPTQ's code: a dynamic group is fitted to the block's own compensated copy, never
// to columns that lag behind, so the codes do not depend on the block's width.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/lane_kernels.h"
#include "quantize/grid/grid.h"
#include "quantize/order.h"

namespace halftone {

template <class T>
struct SweepTask {
  const Grouping& grouping;
  at::Tensor original;  // (in, rows) T in sweep layout (tiles.h), what the result should be like
  at::Tensor upper =
      {};  // (in, in) T: U with U^T U = (H + damping I)^-1; undefined: no compensation
  at::Tensor drift = {};  // (in, in) T: P of methods.md 3.2, in sweep order; undefined: one stream
  std::vector<T> importance =
      {};               // (in) by position: weight of a column's error in a grid's search
  int64_t block = 128;  // columns of a lazy block; with dynamic groups see block_width
  int threads = 1;
  TargetOptions target = {};  // alpha, alpha2 (methods.md 3.2, 3.3), parity, fit
  bool within_block = true;   // false: an error reaches only the columns beyond its block (the
                              // published code of BiLLM)
};

struct SweepResult {
  at::Tensor codes;       // (in, rows) uint8
  double error = 0;       // sum of e^2: with the plain target tr((W0 - What)(H + damping I)(W0 -
                          // What)^T); without U that of H = I
  double difference = 0;  // |W0 - What|^2
};

// Where the sweep would find each weight if its grid held every value: a two-stream target moves
// weights on the way, whatever is rounded. With P of methods.md 3.3 and G = alpha2 (P - diag(1 /
// U_jj) striu(U)) that is w (I - alpha P + G) = w0 (I + G). The original weights where nothing
// drifts or that solution is not finite.   -> (in, rows) T
template <class T>
at::Tensor expected_weights(const SweepTask<T>& task);

// Columns of a lazy block for this grid: its own width, or one that its dynamic groups fill.
template <class T>
int64_t sweep_block_width(const Grouping& grouping, const Grid<T>& grid) {
  const int64_t own = grid.block_columns();
  return own > 0 ? own : block_width(grouping, grid.fit_columns());
}

// Fits every group to the expected or the original weights, columns in the file's order.
template <class T>
void fit_static_groups(const SweepTask<T>& task, Grid<T>& grid);

// Rounds every column. Dynamic groups are fitted on the way, static ones have been. The result does
// not depend on the number of threads.
template <class T>
SweepResult sweep(const SweepTask<T>& task, Grid<T>& grid, const LaneKernels<T>& kernels);

}  // namespace halftone
