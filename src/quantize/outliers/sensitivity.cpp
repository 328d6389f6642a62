#include "quantize/outliers/sensitivity.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

// Replaces weights whose gain is above their row's threshold by the mean of the row's others,
// unless all are.   tile, gains: (columns, 16); thresholds: (16)
template <class T>
void replace_sensitive(int64_t columns, const T* gains, const T* thresholds, T* tile) {
  T sum[kLanes] = {}, count[kLanes] = {};
  for (int64_t k = 0; k < columns; ++k)
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool stays = !(gains[k * kLanes + lane] > thresholds[lane]);
      sum[lane] += stays ? tile[k * kLanes + lane] : T{0};
      count[lane] += stays ? T{1} : T{0};
    }
  for (int64_t k = 0; k < columns; ++k)
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool goes = gains[k * kLanes + lane] > thresholds[lane] && count[lane] > 0;
      if (goes) tile[k * kLanes + lane] = sum[lane] / count[lane];
    }
}

}  // namespace

template <class T>
double mean_sensitivity(const at::Tensor& original, int64_t out, const std::vector<T>& pivots) {
  const at::Tensor weights = original.narrow(1, 0, out).to(at::kDouble);
  // one row has no variance: its square takes the place
  const at::Tensor variance = out > 1 ? weights.var(1, /*unbiased=*/true) : weights.square().sum(1);
  const auto* of_column = variance.const_data_ptr<double>();
  double sum = 0;
  for (size_t j = 0; j < pivots.size(); ++j)
    sum += of_column[j] / (static_cast<double>(pivots[j]) * static_cast<double>(pivots[j]));
  return sum / static_cast<double>(pivots.size());
}
template double mean_sensitivity(const at::Tensor&, int64_t, const std::vector<float>&);
template double mean_sensitivity(const at::Tensor&, int64_t, const std::vector<double>&);

template <class T>
SensitivityOutliers<T>::SensitivityOutliers(std::unique_ptr<Grid<T>> inner,
                                            const GridChoice& choice, const GridContext<T>& context,
                                            std::vector<T> thresholds)
    : inner_(std::move(inner)),
      kernels_(context.kernels),
      rule_{.top = (1 << choice.grid.bits) - 1, .symmetric = choice.grid.symmetric},
      simplified_(choice.outliers.simplified),
      grouping_(context.grouping),
      positions_(grouping_.positions()),
      pivots_(context.pivots),
      thresholds_(std::move(thresholds)),
      kept_(grouping_, context.rows) {}

template <class T>
void SensitivityOutliers<T>::begin_block(int64_t begin, int64_t end, const T* weights) {
  if (begin == 0) kept_.clear();  // another sweep
  inner_->begin_block(begin, end, weights);
}

template <class T>
std::vector<T> SensitivityOutliers<T>::importance_of(Place at, int64_t columns) const {
  std::vector<T> importance(static_cast<size_t>(columns));
  for (int64_t k = 0; k < columns; ++k) {
    const int64_t first = at.group * grouping_.group_size;
    const T pivot = pivots_[grouping_.refit ? at.position + k : positions_[first + k]];
    importance[k] = 1 / (pivot * pivot);
  }
  return importance;
}

template <class T>
void SensitivityOutliers<T>::fit(Place at, int64_t columns, const T* tile, const T* importance) {
  if (simplified_) return inner_->fit(at, columns, tile, importance);
  std::vector<T> gains(static_cast<size_t>(columns * kLanes));
  std::vector<T> rest(tile, tile + columns * kLanes);
  kernels_.leave_one_out(rule_, columns, tile, importance_of(at, columns).data(), gains.data());
  replace_sensitive(columns, gains.data(), thresholds_.data() + at.row, rest.data());
  inner_->fit(at, columns, rest.data(), importance);
}

template <class T>
void SensitivityOutliers<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  inner_->round(at, weights, codes, values);
  const T pivot = pivots_[at.position];
  const T* thresholds = thresholds_.data() + at.row;
  uint8_t outlier[kLanes];
  bool any = false;
  for (int lane = 0; lane < kLanes; ++lane) {
    const T e = (weights[lane] - values[lane]) / pivot;
    outlier[lane] = e * e > thresholds[lane];
    any |= outlier[lane];
  }
  if (!any) return;
  kept_.round_others(*inner_, at, outlier, weights, codes, values);
}

template <class T>
void SensitivityOutliers<T>::store(QuantizedLinear& linear) const {
  inner_->store(linear);
  linear.outliers = kept_.stored(linear.out());
}

template class SensitivityOutliers<float>;
template class SensitivityOutliers<double>;

}  // namespace halftone
