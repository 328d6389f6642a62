#include "checkpoint/weight_source.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int64_t kNumbersAtOnce = int64_t{1} << 21;  // of a large matrix: 16 MiB in float64

}  // namespace

at::Tensor WeightSource::load_rows(std::string_view name, const at::Tensor& index) const {
  return load(name).index_select(0, index);
}

at::Tensor load_copy(const WeightSource& source, std::string_view name, at::Device device,
                     at::ScalarType dtype) {
  const WeightInfo info = source.info(name);
  const int64_t numbers = c10::multiply_integers(info.shape);
  if (info.shape.size() != 2 || numbers <= kNumbersAtOnce) {
    at::Tensor copy = source.load(name).to(device, dtype, false, /*copy=*/true);
    source.release(name);
    return copy;
  }
  at::Tensor copy = at::empty(info.shape, at::device(device).dtype(dtype));
  const int64_t rows = info.shape[0],
                at_once = std::max<int64_t>(1, kNumbersAtOnce / info.shape[1]);
  for (int64_t first = 0; first < rows; first += at_once) {
    const int64_t count = std::min(at_once, rows - first);
    const at::Tensor index = at::arange(first, first + count, at::kLong);
    copy.narrow(0, first, count).copy_(source.load_rows(name, index));
    source.release(name);
  }
  return copy;
}

}  // namespace halftone
