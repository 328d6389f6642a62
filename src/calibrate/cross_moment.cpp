#include "calibrate/cross_moment.h"

#include <ATen/ATen.h>

#include <utility>

#include "calibrate/sums.h"
#include "calibrate/transposed_product.h"

namespace halftone {

CrossMoment::CrossMoment(int64_t in, at::Device device)
    : sum_(at::zeros({in, in}, at::device(device).dtype(at::kFloat))) {}

void CrossMoment::add(const at::Tensor& x, const at::Tensor& original, const at::Tensor& weights) {
  at::Tensor drift = original.to(at::kFloat) - x.to(at::kFloat);
  if (weights.defined()) drift *= weights.unsqueeze(1);
  add_transposed_product(sum_, drift, x);
}

at::Tensor CrossMoment::finish() {
  return total(std::exchange(sum_, {}));
}

}  // namespace halftone
