#include "quantize/grid/split.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "quantize/grid/uniform.h"

namespace halftone {
namespace {

// Magnitudes are a uniform grid from 0 up, with one bit less.
UniformRule outlier_rule(const GridOptions& options) {
  UniformRule rule = uniform_rule(options);
  if (options.outlier_codes == OutlierCodes::kSignMagnitude) {
    rule.top = (1 << (options.bits - 1)) - 1;
    rule.symmetric = false;
    rule.zero_min = 0;
  }
  return rule;
}

}  // namespace

template <class T>
SplitGrid<T>::Part::Part(const UniformRule& of, int64_t groups, int64_t rows) : rule(of) {
  const auto type = c10::CppTypeToScalarType<T>::value;
  scales = at::ones({groups, rows}, type);
  zeros = at::zeros({groups, rows}, type);
}

template <class T>
SplitGrid<T>::SplitGrid(const GridOptions& options, const GridContext<T>& context)
    : rows_(context.rows),
      kernels_(context.kernels),
      sign_magnitude_(options.outlier_codes == OutlierCodes::kSignMagnitude),
      floor_(sign_magnitude_ ? static_cast<float>(context.outliers->least) : 0),
      bulk_(uniform_rule(options), context.grouping.groups, rows_),
      outliers_(outlier_rule(options), context.grouping.groups, rows_),
      members_(context.outliers->members),
      mask_(*context.outliers, context.grouping, rows_) {}

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

}  // namespace halftone
