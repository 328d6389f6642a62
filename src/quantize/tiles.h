// Between a file's matrices and the sweep's: the sweep holds a weight transposed, (in, rows),
// columns in sweep order and rows padded with zeros to a multiple of 16, so that 16 rows of a
// column lie side by side.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace halftone {

// Whole tiles of 16 rows; a linear of fewer rows counts as one.
int64_t whole_tiles(int64_t out);

// `count` of the whole tiles, or all, spread evenly over the rows: a sample of a linear.
std::vector<int64_t> spread_tiles(int64_t out, int64_t count);

// weight: (out, in) T, contiguous; columns: (in) the file's column of each position -> (in, rows) T
template <class T>
at::Tensor to_sweep_layout(const at::Tensor& weight, std::span<const int64_t> columns, int threads);

// codes: (in, rows) uint8 -> (out, in) uint8, columns back in the file's order
at::Tensor codes_in_file_order(const at::Tensor& codes, std::span<const int64_t> columns,
                               int64_t out, int threads);

}  // namespace halftone
