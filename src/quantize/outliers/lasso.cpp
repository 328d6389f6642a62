#include "quantize/outliers/lasso.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace halftone {
namespace {

// The `count` largest of the magnitudes, 1 <= count <= how many are not zero.
template <class T>
OutlierMask largest(const at::Tensor& magnitudes, int64_t count) {
  const T* magnitude = magnitudes.const_data_ptr<T>();
  const int64_t weights = magnitudes.numel();
  std::vector<T> pool(magnitude, magnitude + weights);
  std::nth_element(pool.begin(), pool.begin() + (count - 1), pool.end(), std::greater<>());
  const T least = pool[static_cast<size_t>(count - 1)];
  int64_t ties = count - std::count_if(pool.begin(), pool.begin() + count,
                                       [&](T value) { return value > least; });
  OutlierMask mask{at::empty(magnitudes.sizes(), at::kBool), static_cast<double>(least)};
  bool* member = mask.members.mutable_data_ptr<bool>();
  for (int64_t i = 0; i < weights; ++i) {
    const bool tied = magnitude[i] == least && ties > 0;
    ties -= tied;
    member[i] = magnitude[i] > least || tied;
  }
  return mask;
}

}  // namespace

OutlierMask lasso_outliers(const at::Tensor& weight, double share) {
  const at::Tensor magnitudes = weight.abs().contiguous();
  const auto wanted = std::llround(share * static_cast<double>(weight.numel()));
  const int64_t count = std::min<int64_t>(wanted, at::count_nonzero(magnitudes).item<int64_t>());
  if (count == 0) return {at::zeros(weight.sizes(), at::kBool), 0};
  return weight.scalar_type() == at::kDouble ? largest<double>(magnitudes, count)
                                             : largest<float>(magnitudes, count);
}

}  // namespace halftone
