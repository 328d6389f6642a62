#include "quantize/tiles.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/parallel.h"
#include "kernels/lane_kernels.h"

namespace halftone {
namespace {

constexpr int64_t kSquare =
    4 * kLanes;  // rows and columns moved together, by way of a buffer in the L1 cache

// Calls move(position, positions, row, rows_there) for every square of rows [begin, end).
template <class Move>
void for_each_square(int64_t in, int64_t begin, int64_t end, Move&& move) {
  for (int64_t row = begin; row < end; row += kSquare)
    for (int64_t position = 0; position < in; position += kSquare)
      move(position, std::min(kSquare, in - position), row, std::min(kSquare, end - row));
}

}  // namespace

int64_t whole_tiles(int64_t out) {
  return std::max<int64_t>(1, out / kLanes);
}

std::vector<int64_t> spread_tiles(int64_t out, int64_t count) {
  const int64_t full = whole_tiles(out);
  std::vector<int64_t> tiles(static_cast<size_t>(std::min(full, count)));
  for (size_t i = 0; i < tiles.size(); ++i)
    tiles[i] = static_cast<int64_t>(i) * full / static_cast<int64_t>(tiles.size());
  return tiles;
}

template <class T>
at::Tensor to_sweep_layout(const at::Tensor& weight, std::span<const int64_t> columns,
                           int threads) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const int64_t rows = (out + kLanes - 1) / kLanes * kLanes;
  at::Tensor result = at::empty({in, rows}, weight.options());
  const T* from = weight.const_data_ptr<T>();
  T* to = result.mutable_data_ptr<T>();
  parallel_for(threads, rows, kSquare, [&](int64_t begin, int64_t end) {
    T buffer[kSquare][kSquare];  // (positions, rows)
    for_each_square(in, begin, end,
                    [&](int64_t position, int64_t positions, int64_t row, int64_t count) {
                      const int64_t real = std::min(count, out - row);
                      for (int64_t i = 0; i < real; ++i) {
                        const T* source = from + (row + i) * in;
                        for (int64_t p = 0; p < positions; ++p)
                          buffer[p][i] = source[columns[position + p]];
                      }
                      for (int64_t p = 0; p < positions; ++p)
                        std::fill(buffer[p] + real, buffer[p] + count, T{0});
                      for (int64_t p = 0; p < positions; ++p)
                        std::copy_n(buffer[p], count, to + (position + p) * rows + row);
                    });
  });
  return result;
}
template at::Tensor to_sweep_layout<float>(const at::Tensor&, std::span<const int64_t>, int);
template at::Tensor to_sweep_layout<double>(const at::Tensor&, std::span<const int64_t>, int);

at::Tensor codes_in_file_order(const at::Tensor& codes, std::span<const int64_t> columns,
                               int64_t out, int threads) {
  const int64_t in = codes.size(0), rows = codes.size(1);
  at::Tensor result = at::empty({out, in}, at::kByte);
  const uint8_t* from = codes.const_data_ptr<uint8_t>();
  uint8_t* to = result.mutable_data_ptr<uint8_t>();
  parallel_for(threads, out, kSquare, [&](int64_t begin, int64_t end) {
    uint8_t buffer[kSquare][kSquare];  // (positions, rows)
    for_each_square(in, begin, end,
                    [&](int64_t position, int64_t positions, int64_t row, int64_t count) {
                      for (int64_t p = 0; p < positions; ++p)
                        std::copy_n(from + (position + p) * rows + row, count, buffer[p]);
                      for (int64_t i = 0; i < count; ++i)
                        for (int64_t p = 0; p < positions; ++p)
                          to[(row + i) * in + columns[position + p]] = buffer[p][i];
                    });
  });
  return result;
}

}  // namespace halftone
