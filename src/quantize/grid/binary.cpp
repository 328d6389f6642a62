#include "quantize/grid/binary.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "quantize/grid/binary_planes.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

constexpr int64_t kFits = 4, kLevels = 8;
constexpr double kRounding = 0x1p-20;  // of float32 sums over a block, relative to the mean

// To float16, or float32 where that would overflow.
float stored(float number, bool unrounded) {
  const auto half = static_cast<float>(c10::Half(number));
  return unrounded || std::isinf(half) ? number : half;
}

// The code in [first, first + count) whose level is nearest, the last of equals.
// levels: one every `stride`
template <class T>
int nearest(const T* levels, int64_t stride, int first, int count, T weight) {
  int best = first;
  for (int code = first + 1; code < first + count; ++code)
    if (std::abs(weight - levels[code * stride]) <= std::abs(weight - levels[best * stride]))
      best = code;
  return best;
}

// The two signs of a binarization: of what is left of the mean, then of what is left of that.
// means, scales: one every `stride`, of the first and the second order
template <class T>
int residual_signs(const float* means, const float* scales, int64_t stride, T weight) {
  const T off = weight - static_cast<T>(means[0]);
  const T rest = off < 0 ? off + static_cast<T>(scales[0]) : off - static_cast<T>(scales[0]);
  return 2 * (off >= 0) + (rest - static_cast<T>(means[stride]) >= 0);
}

// What an error of each position weighs in the sweep's loss: 1 / c^2, and 0 in dead columns.
template <class T>
std::vector<T> importance_of(const GridContext<T>& context) {
  std::vector<T> importance;
  for (const T pivot : context.pivots) importance.push_back(1 / (pivot * pivot));
  const std::vector<int64_t> positions = context.grouping.positions();
  for (const int64_t column : context.dead) importance[positions[column]] = 0;
  return importance;
}

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  const BinaryMode shortest = BinaryMode::kParity;  // of the searches
  return std::make_unique<BinaryGrid<T>>(choice.grid, choice.thorough ? choice.grid.mode : shortest,
                                         importance_of(context), context.out, context.rows,
                                         context.kernels, context.threads);
}

// Runs of rows have the salient columns of all rows, or they could not be one linear.
void join(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  const auto all = [&](auto&& member) {
    return below_each_other(runs,
                            [&](const QuantizedLinear& run) { return (*run.binary).*member; });
  };
  linear.binary->means = all(&BinaryPlanes::means);
  linear.binary->scales = all(&BinaryPlanes::scales);
}

void check(const QuantizedLinear& linear) {
  const int64_t groups = (linear.in() + linear.group_size - 1) / linear.group_size;
  const BinaryPlanes& planes = *linear.binary;
  require(linear.bits == 2 && !linear.symmetric && !linear.group_of_column.defined(),
          "a binary grid has codes of 2 bits, is not symmetric and has no group index");
  check_tensor("salient columns", planes.salient, at::kByte, {linear.in()});
  check_below("salient columns", planes.salient, 2);
  for (const at::Tensor& numbers : {planes.means, planes.scales}) {
    check_tensor("means and scales", numbers, at::kFloat, {linear.out(), groups, 4});
    require(numbers.isfinite().all().item<bool>(), "means and scales: one is not finite");
  }
  require(planes.scales.ge(0).all().item<bool>(), "scales: one is below 0");
}

}  // namespace

template <class T>
BinaryGrid<T>::BinaryGrid(const GridOptions& options, BinaryMode mode, std::vector<T> importance,
                          int64_t out, int64_t rows, const LaneKernels<T>& kernels, int threads)
    : options_(options),
      mode_(mode),
      importance_(std::move(importance)),
      out_(out),
      rows_(rows),
      kernels_(kernels.binary),
      threads_(threads) {
  const auto in = static_cast<int64_t>(importance_.size());
  const int64_t width = options.columns_per_group(in);
  const int64_t groups = (in + width - 1) / width;
  salient_.assign(importance_.size(), 0);
  means_ = at::zeros({groups, kFits, rows}, at::kFloat);
  scales_ = at::zeros_like(means_);
  levels_ = at::zeros({groups, kLevels, rows}, c10::CppTypeToScalarType<T>::value);
}

template <class T>
int64_t BinaryGrid<T>::block_columns() const {
  return options_.columns_per_group(static_cast<int64_t>(importance_.size()));
}

template <class T>
void BinaryGrid<T>::begin_block(int64_t begin, int64_t end, const T* weights) {
  const int64_t width = block_columns();
  assert(begin % width == 0 && end - begin <= width);  // a block is a group
  const BinaryBlock<T> block{weights + begin * rows_,
                             end - begin,
                             rows_,
                             out_,
                             std::span<const T>(importance_).subspan(begin, end - begin),
                             threads_};
  const bool parity = mode_ == BinaryMode::kParity;
  const BinaryStructure<T> structure =
      parity ? search_on_metric(block, kernels_) : search_on_weights(block, kernels_);
  const std::vector<T> ones(static_cast<size_t>(block.columns), T{1});
  const auto weights_in_means = parity ? std::span<const T>(ones) : block.importance;
  std::copy(structure.salient.begin(), structure.salient.end(), salient_.begin() + begin);
  begin_ = begin;
  store_fit(begin / width, fit_structure(block, structure, weights_in_means, kernels_));
  choose_codes(block, structure, begin / width);
}

template <class T>
void BinaryGrid<T>::store_fit(int64_t group, const BinaryFit<T>& fit) {
  const bool unrounded = options_.scale_bits == 0;
  float* means = means_[group].template mutable_data_ptr<float>();
  float* scales = scales_[group].template mutable_data_ptr<float>();
  for (int64_t i = 0; i < kFits * rows_; ++i) {
    // what is left of equal weights is rounding: relative to their mean, also in the second order
    const bool second = i >= 3 * rows_;
    const T rounding = static_cast<T>(kRounding) * std::abs(fit.means[second ? i - rows_ : i]);
    const auto number = [&](T x) {
      return std::abs(x) <= rounding ? 0 : stored(static_cast<float>(x), unrounded);
    };
    means[i] = number(fit.means[i]);
    scales[i] = number(fit.scales[i]);
  }
  levels_[group].copy_(binary_levels(means_[group], scales_[group]));
}

// What every weight of the block would be coded as now. Its bulk or tail stays; `columns` chooses
// signs again.
template <class T>
void BinaryGrid<T>::choose_codes(const BinaryBlock<T>& block, const BinaryStructure<T>& structure,
                                 int64_t group) {
  const T* levels = levels_[group].template const_data_ptr<T>();
  const float* means = means_[group].template const_data_ptr<float>() + 2 * rows_;
  const float* scales = scales_[group].template const_data_ptr<float>() + 2 * rows_;
  start_codes_.resize(static_cast<size_t>(block.columns * rows_));
  parallel_for(threads_, rows_, kLanes, [&](int64_t begin, int64_t end) {
    for (int64_t column = 0; column < block.columns; ++column) {
      for (int64_t row = begin; row < end; ++row) {
        const T weight = block.weights[column * rows_ + row];
        int code = 0;
        if (!structure.salient[column])
          code = nearest(levels + row, rows_,
                         2 * structure.in_tail(weight, block.importance[column]), 2, weight);
        else
          code = residual_signs(means + row, scales + row, rows_, weight);
        start_codes_[column * rows_ + row] = static_cast<uint8_t>(code);
      }
    }
  });
}

template <class T>
void BinaryGrid<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  if (importance_[at.position] == 0) {  // a dead column
    std::fill_n(codes, kLanes, uint8_t{0});
    std::fill_n(values, kLanes, T{0});
    return;
  }
  const bool salient = salient_[at.position] != 0;
  const uint8_t* start = start_codes_.data() + (at.position - begin_) * rows_ + at.row;
  const T* levels = levels_.template const_data_ptr<T>() +
                    (at.group * kLevels + (salient ? 4 : 0)) * rows_ + at.row;
  for (int lane = 0; lane < kLanes; ++lane) {
    int code = start[lane];
    if (mode_ == BinaryMode::kColumns)
      code = salient ? nearest(levels + lane, rows_, 0, 4, weights[lane])
                     : nearest(levels + lane, rows_, code & 2, 2, weights[lane]);
    codes[lane] = static_cast<uint8_t>(code);
    values[lane] = levels[code * rows_ + lane];
  }
}

template <class T>
void BinaryGrid<T>::store(QuantizedLinear& linear) const {
  const auto in = static_cast<int64_t>(importance_.size());
  const auto in_rows = [&](const at::Tensor& by_group) {  // -> (out, groups, 4)
    return by_group.narrow(2, 0, out_).permute({2, 0, 1}).contiguous();
  };
  BinaryPlanes planes{
      .salient = at::empty({in}, at::kByte), .means = in_rows(means_), .scales = in_rows(scales_)};
  std::vector<int32_t> dead;
  for (int64_t column = 0; column < in; ++column) {
    planes.salient.mutable_data_ptr<uint8_t>()[column] =
        importance_[column] != 0 && salient_[column];
    if (importance_[column] == 0) dead.push_back(static_cast<int32_t>(column));
  }
  if (!dead.empty()) linear.dead_columns = at::tensor(dead, at::kInt);
  linear.bits = 2;
  linear.binary = std::move(planes);
}

template class BinaryGrid<float>;
template class BinaryGrid<double>;

GridEntry binary_entry() {
  return {.kind = GridKind::kBinary,
          .needs_pivots = true,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = binary_weights,
          .bits = binary_bits_per_weight,
          .join = join,
          .check = check};
}

}  // namespace halftone
