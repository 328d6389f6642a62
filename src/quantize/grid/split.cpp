#include "quantize/grid/split.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "quantize/grid/affine.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/grid/uniform.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

// Magnitudes are a uniform grid from 0 up, with one bit less.
UniformRule outlier_rule(const GridChoice& choice) {
  UniformRule rule = rule_of(choice);
  if (choice.grid.outlier_codes == OutlierCodes::kSignMagnitude) {
    rule.top = (1 << (choice.grid.bits - 1)) - 1;
    rule.symmetric = false;
    rule.zero_min = 0;
  }
  return rule;
}

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  require(choice.mask != nullptr, "grid.kind: split, but no outliers have been decided on");
  return std::make_unique<SplitGrid<T>>(choice, context);
}

// What the codes of rows [begin, begin + count) mean where they are a split grid's outliers.
// -> (count, in) float32
at::Tensor split_values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const SplitOutliers& split = *linear.split;
  const auto over = [&](const at::Tensor& x) {
    return over_columns(x.narrow(0, begin, count), linear);
  };
  const at::Tensor codes = linear.codes.narrow(0, begin, count);
  if (!split.sign_magnitude)
    return codes.to(at::kFloat).sub_(over(split.zeros)).mul_(over(split.scales));
  const int sign = 1 << (linear.bits - 1);
  const at::Tensor magnitudes = codes.bitwise_and(sign - 1).to(at::kFloat);
  const at::Tensor values = magnitudes.mul_(over(split.scales)).add_(split.floor);
  return at::where(codes.bitwise_and(sign).to(at::kBool), -values, values);
}

at::Tensor values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  return at::where(linear.split->members.narrow(0, begin, count),
                   split_values(linear, begin, count), affine_values(linear, begin, count));
}

// An outlier's position is a place among the columns of its group.
double bits(const QuantizedLinear& linear) {
  const int zero = bits_of_zero(linear);
  return affine_bits(linear, 16 + zero + 16 + (linear.split->sign_magnitude ? 0 : zero)) +
         position_bits(linear.group_size) * outlier_share(linear);
}

void join(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  join_affine(runs, linear);
  const auto all = [&](auto&& member) {
    return below_each_other(runs, [&](const QuantizedLinear& run) { return (*run.split).*member; });
  };
  linear.split->members = all(&SplitOutliers::members);
  linear.split->scales = all(&SplitOutliers::scales);
  linear.split->zeros = all(&SplitOutliers::zeros);
}

void check(const QuantizedLinear& linear) {
  check_scales(linear);
  check_integer_zeros(linear);
  const SplitOutliers& split = *linear.split;
  const std::vector<int64_t> by_group = linear.scales.sizes().vec();
  check_tensor("outlier members", split.members, at::kBool, {linear.out(), linear.in()});
  check_tensor("outlier scales", split.scales, at::kFloat, by_group);
  require(split.scales.isfinite().all().item<bool>(), "outlier scales: one is not finite");
  check_tensor("outlier zeros", split.zeros, at::kByte, by_group);
  check_below("outlier zeros", split.zeros, int64_t{1} << linear.bits);
  const int zero = split.sign_magnitude ? 0 : 1 << (linear.bits - 1);
  if (split.sign_magnitude || linear.symmetric)
    require(split.zeros.eq(zero).all().item<bool>(), "outlier zeros: expected {} everywhere", zero);
  require(std::isfinite(split.floor) && split.floor >= 0,
          "outlier floor: expected a number from 0 up, found {}", split.floor);
  require(split.sign_magnitude || split.floor == 0, "outlier floor: {}, yet codes have no sign",
          split.floor);
  if (!linear.group_of_column.defined()) return;
  const int64_t most = linear.group_of_column.bincount().max().item<int64_t>();
  require(most <= linear.group_size, "group of column: {} columns in a group of {}", most,
          linear.group_size);
}

}  // namespace

template <class T>
SplitGrid<T>::Part::Part(const UniformRule& of, int64_t groups, int64_t rows) : rule(of) {
  const auto type = c10::CppTypeToScalarType<T>::value;
  scales = at::ones({groups, rows}, type);
  zeros = at::zeros({groups, rows}, type);
}

template <class T>
SplitGrid<T>::SplitGrid(const GridChoice& choice, const GridContext<T>& context)
    : rows_(context.rows),
      kernels_(context.kernels),
      sign_magnitude_(choice.grid.outlier_codes == OutlierCodes::kSignMagnitude),
      floor_(sign_magnitude_ ? static_cast<float>(choice.mask->least) : 0),
      bulk_(rule_of(choice), context.grouping.groups, rows_),
      outliers_(outlier_rule(choice), context.grouping.groups, rows_),
      members_(choice.mask->members),
      mask_(*choice.mask, context.grouping, rows_) {}

template <class T>
T SplitGrid<T>::coded(T weight) const {
  return sign_magnitude_ ? std::max(std::abs(weight) - floor_, T{0}) : weight;
}

template <class T>
void SplitGrid<T>::fit(Place at, int64_t columns, const T* tile, const T* importance) {
  std::vector<T> in_bulk(columns * kLanes), outlying(columns * kLanes), coded_tile(outlying.size());
  for (int64_t k = 0; k < columns; ++k) {
    const uint8_t* outlier = mask_.of_group(at, k);
    for (int64_t lane = 0, i = k * kLanes; lane < kLanes; ++lane, ++i) {
      outlying[i] = outlier[lane];
      in_bulk[i] = T{1} - outlying[i];
      coded_tile[i] = coded(tile[i]);
    }
  }
  const int64_t where = at.group * rows_ + at.row;
  kernels_.fit_uniform_members(bulk_.rule, columns, tile, importance, in_bulk.data(),
                               bulk_.scale(where), bulk_.zero(where));
  kernels_.fit_uniform_members(outliers_.rule, columns, coded_tile.data(), importance,
                               outlying.data(), outliers_.scale(where), outliers_.zero(where));
}

template <class T>
void SplitGrid<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  const int64_t where = at.group * rows_ + at.row;
  kernels_.round_uniform(bulk_.rule, weights, bulk_.scale(where), bulk_.zero(where), codes, values);
  const uint8_t* outlier = mask_.of_column(at);
  if (std::all_of(outlier, outlier + kLanes, [](uint8_t is) { return is == 0; })) return;
  T coded_weights[kLanes], steps[kLanes];
  uint8_t outlier_codes[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) coded_weights[lane] = coded(weights[lane]);
  kernels_.round_uniform(outliers_.rule, coded_weights, outliers_.scale(where),
                         outliers_.zero(where), outlier_codes, steps);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!outlier[lane]) continue;
    const bool negative = sign_magnitude_ && weights[lane] < 0;
    const T value = floor_ + steps[lane];
    values[lane] = negative ? -value : value;
    codes[lane] = outlier_codes[lane] | (negative ? (bulk_.rule.top + 1) / 2 : 0);
  }
}

template <class T>
void SplitGrid<T>::store(QuantizedLinear& linear) const {
  const auto in_rows = [&](const at::Tensor& by_group, at::ScalarType type) {
    return by_group.narrow(1, 0, linear.out()).t().to(type).contiguous();
  };
  linear.scales = in_rows(bulk_.scales, at::kFloat);
  linear.zeros = in_rows(bulk_.zeros, at::kByte);
  linear.split = SplitOutliers{.members = members_,
                               .scales = in_rows(outliers_.scales, at::kFloat),
                               .zeros = in_rows(outliers_.zeros, at::kByte),
                               .sign_magnitude = sign_magnitude_,
                               .floor = static_cast<float>(floor_)};
}

template class SplitGrid<float>;
template class SplitGrid<double>;

GridEntry split_entry() {
  return {.kind = GridKind::kSplit,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = values,
          .bits = bits,
          .join = join,
          .check = check};
}

}  // namespace halftone
