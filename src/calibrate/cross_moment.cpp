#include "calibrate/cross_moment.h"

#include <ATen/ATen.h>

namespace halftone {

CrossMoment::CrossMoment(int64_t in, at::Device device)
    : sum_(at::zeros({in, in}, at::device(device).dtype(at::kFloat))) {}

void CrossMoment::add(const at::Tensor& x, const at::Tensor& original) {
  const at::Tensor wide = x.to(at::kFloat);
  sum_.addmm_((original.to(at::kFloat) - wide).t(), wide);
}

at::Tensor CrossMoment::finish() {
  at::Tensor sum = sum_.to(at::kCPU);
  sum_ = at::Tensor();
  return sum;
}

}  // namespace halftone
