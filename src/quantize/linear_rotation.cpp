#include "quantize/linear_rotation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/lane_kernels.h"
#include "matrix/hadamard_orders.h"
#include "matrix/orthogonal.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

constexpr int64_t kDoubleColumns = 2048;
constexpr uint64_t kOutputs = uint64_t{1} << 32;  // apart from the seeds of inputs

at::Tensor signs_of(int64_t width, uint64_t seed) {
  return random_signs(width, seed).lt(0).to(at::kByte);
}

// One side of a rotation, ready to be applied.
struct Side {
  const at::Tensor& signs;  // (width) uint8
  int64_t block;
  bool back;  // the transposed matrix, then the signs
};

// The matrix of a side's blocks.
struct Hadamard {
  std::vector<int8_t> signs;
  HadamardRule rule;

  Hadamard(int64_t order, bool transposed) {
    const KroneckerMatrix matrix = hadamard(order, 0);
    const int64_t first = matrix.factors.front().size(0);
    rule.core = (first & (first - 1)) == 0 ? 1 : first;
    rule.power = order / rule.core;
    rule.scale = 1 / std::sqrt(static_cast<double>(order));
    if (rule.core == 1) return;
    const at::Tensor& core = matrix.factors.front();
    const at::Tensor numbers = (transposed ? core.t() : core).contiguous();
    const auto* number = numbers.const_data_ptr<double>();
    for (int64_t i = 0; i < first * first; ++i) signs.push_back(number[i] > 0 ? 1 : -1);
    rule.signs = signs.data();
  }
};

// Sixteen rows of x, or fewer, into a tile and back, each number with its column's sign.
template <class T>
void load_tile(const T* x, int64_t rows, int64_t width, const uint8_t* minus, T* tile) {
  for (int64_t column = 0; column < width; ++column)
    for (int64_t row = 0; row < rows; ++row) {
      const T number = x[row * width + column];
      tile[column * kLanes + row] = minus != nullptr && minus[column] ? -number : number;
    }
}
template <class T>
void store_tile(const T* tile, int64_t rows, int64_t width, const uint8_t* minus, T* x) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < width; ++column) {
      const T number = tile[column * kLanes + row];
      x[row * width + column] = minus != nullptr && minus[column] ? -number : number;
    }
}

// x Q, or x Q^T.   x: (rows, width), contiguous -> the same
template <class T>
at::Tensor rotated_rows(const at::Tensor& x, const Side& side) {
  const int64_t rows = x.size(0), width = x.size(1);
  const Hadamard hadamard(side.block, side.back);
  const auto kernels = lane_kernels<T>();
  const auto* minus = side.signs.const_data_ptr<uint8_t>();
  at::Tensor result = at::empty_like(x);
  const T* from = x.template const_data_ptr<T>();
  T* to = result.template mutable_data_ptr<T>();
  parallel_for(at::get_num_threads(), rows, kLanes, [&](int64_t begin, int64_t end) {
    std::vector<T> tile(static_cast<size_t>(width * kLanes));
    std::vector<T> scratch(static_cast<size_t>(side.block * kLanes));
    for (int64_t row = begin; row < end; row += kLanes) {
      const int64_t count = std::min(kLanes, end - row);
      load_tile(from + row * width, count, width, side.back ? nullptr : minus, tile.data());
      for (int64_t first = 0; first < width; first += side.block)
        kernels.hadamard(hadamard.rule, tile.data() + first * kLanes, scratch.data());
      store_tile(tile.data(), count, width, side.back ? minus : nullptr, to + row * width);
    }
  });
  return result;
}

at::Tensor times(const at::Tensor& x, const Side& side) {
  const at::Tensor contiguous = x.contiguous();
  return x.scalar_type() == at::kDouble ? rotated_rows<double>(contiguous, side)
                                        : rotated_rows<float>(contiguous, side);
}

at::Tensor on_both_sides(const at::Tensor& weight, const LinearRotation& rotation, bool back) {
  const at::Tensor half = times(weight, {rotation.input_signs, rotation.input_block, back});
  return times(half.t(), {rotation.output_signs, rotation.output_block, back}).t().contiguous();
}

void check_side(const char* what, const at::Tensor& signs, int64_t block, int64_t width) {
  check_tensor(what, signs, at::kByte, {width});
  check_below(what, signs, 2);
  require(block >= 1 && width % block == 0 && has_hadamard(block),
          "{}: blocks of {} columns of {}: no Hadamard matrix that fits", what, block, width);
}

}  // namespace

int64_t rotation_block(int64_t width) {
  return has_hadamard(width) ? width : width & -width;
}

LinearRotation rotation_of(int64_t out, int64_t in) {
  return {.input_signs = signs_of(in, static_cast<uint64_t>(in)),
          .output_signs = signs_of(out, static_cast<uint64_t>(out) + kOutputs),
          .input_block = rotation_block(in),
          .output_block = rotation_block(out)};
}

at::Tensor rotate(const at::Tensor& weight, const LinearRotation& rotation) {
  return on_both_sides(weight, rotation, /*back=*/false);
}

at::Tensor rotate_back(const at::Tensor& weight, const LinearRotation& rotation) {
  return on_both_sides(weight, rotation, /*back=*/true);
}

at::Tensor rotate_moment(const at::Tensor& moment) {
  if (!moment.defined()) return moment;
  const int64_t in = moment.size(0);
  const at::Tensor signs = signs_of(in, static_cast<uint64_t>(in));
  const Side side{signs, rotation_block(in), /*back=*/false};
  const at::Tensor numbers = in <= kDoubleColumns ? moment.to(at::kDouble) : moment;
  return times(times(numbers, side).t(), side).t().to(moment.scalar_type()).contiguous();
}

void check_rotation(const LinearRotation& rotation, int64_t out, int64_t in) {
  check_side("input signs", rotation.input_signs, rotation.input_block, in);
  check_side("output signs", rotation.output_signs, rotation.output_block, out);
}

}  // namespace halftone
