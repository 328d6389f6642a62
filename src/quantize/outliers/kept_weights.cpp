#include "quantize/outliers/kept_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/float16.h"
#include "kernels/lane_kernels.h"

namespace halftone {

KeptWeights::KeptWeights(const Grouping& grouping, int64_t rows)
    : columns_(grouping.columns), tiles_(static_cast<size_t>(rows / kLanes)) {}

void KeptWeights::clear() {
  for (std::vector<Kept>& tile : tiles_) tile.clear();
}

template <class T>
void KeptWeights::round_others(Grid<T>& inner, Place at, const uint8_t* outlier, const T* weights,
                               uint8_t* codes, T* values) {
  T others[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) others[lane] = outlier[lane] ? T{0} : weights[lane];
  inner.round(at, others, codes, values);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!outlier[lane]) continue;
    const float value = nearest_float16(weights[lane]);
    values[lane] = value;
    keep(at, lane, value);
  }
}
template void KeptWeights::round_others(Grid<float>&, Place, const uint8_t*, const float*, uint8_t*,
                                        float*);
template void KeptWeights::round_others(Grid<double>&, Place, const uint8_t*, const double*,
                                        uint8_t*, double*);

void KeptWeights::keep(Place at, int lane, float value) {
  tiles_[at.row / kLanes].push_back(
      {static_cast<int32_t>(columns_[at.position]), static_cast<int32_t>(at.row + lane), value});
}

std::vector<int64_t> KeptWeights::count_by_row() const {
  std::vector<int64_t> counts(tiles_.size() * kLanes);
  for (const std::vector<Kept>& tile : tiles_)
    for (const Kept& kept : tile) ++counts[kept.row];
  return counts;
}

Outliers KeptWeights::stored(int64_t out) const {
  const std::vector<int64_t> counts = count_by_row();
  Outliers outliers;
  outliers.row_starts = at::zeros({out + 1}, at::kLong);
  auto* starts = outliers.row_starts.mutable_data_ptr<int64_t>();
  std::partial_sum(counts.begin(), counts.begin() + out, starts + 1);
  outliers.columns = at::empty({starts[out]}, at::kInt);
  outliers.values = at::empty({starts[out]}, at::kFloat);
  int64_t next = 0;
  for (std::vector<Kept> tile : tiles_) {
    std::erase_if(tile, [&](const Kept& kept) { return kept.row >= out; });
    std::sort(tile.begin(), tile.end(), [](const Kept& a, const Kept& b) {
      return a.row != b.row ? a.row < b.row : a.column < b.column;
    });
    for (const Kept& kept : tile) {
      outliers.columns.mutable_data_ptr<int32_t>()[next] = kept.column;
      outliers.values.mutable_data_ptr<float>()[next++] = kept.value;
    }
  }
  return outliers;
}

}  // namespace halftone
