#include "quantize/outliers/frozen.h"

#include <vector>

namespace halftone {

template <class T>
FrozenOutliers<T>::FrozenOutliers(std::unique_ptr<Grid<T>> inner, const OutlierMask& mask,
                                  const GridContext<T>& context)
    : inner_(std::move(inner)),
      mask_(mask, context.grouping, context.rows),
      kept_(context.grouping, context.rows) {}

template <class T>
void FrozenOutliers<T>::begin_block(int64_t begin, int64_t end, const T* weights) {
  if (begin == 0) kept_.clear();  // another sweep
  inner_->begin_block(begin, end, weights);
}

template <class T>
void FrozenOutliers<T>::fit(Place at, int64_t columns, const T* tile, const T* importance) {
  std::vector<T> rest(tile, tile + columns * kLanes);
  T sum[kLanes] = {}, count[kLanes] = {};
  for (int64_t k = 0; k < columns; ++k) {
    const uint8_t* outlier = mask_.of_group(at, k);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (outlier[lane]) continue;
      sum[lane] += tile[k * kLanes + lane];
      ++count[lane];
    }
  }
  for (int64_t k = 0; k < columns; ++k) {
    const uint8_t* outlier = mask_.of_group(at, k);
    for (int lane = 0; lane < kLanes; ++lane)
      if (outlier[lane]) rest[k * kLanes + lane] = count[lane] > 0 ? sum[lane] / count[lane] : T{0};
  }
  inner_->fit(at, columns, rest.data(), importance);
}

template <class T>
void FrozenOutliers<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  kept_.round_others(*inner_, at, mask_.of_column(at), weights, codes, values);
}

template <class T>
void FrozenOutliers<T>::store(QuantizedLinear& linear) const {
  inner_->store(linear);
  linear.outliers = kept_.stored(linear.out());
}

template class FrozenOutliers<float>;
template class FrozenOutliers<double>;

}  // namespace halftone
