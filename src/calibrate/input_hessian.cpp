#include "calibrate/input_hessian.h"

#include <ATen/ATen.h>

namespace halftone {

void InputHessian::add(const at::Tensor& x, const at::Tensor& weights) {
  sum_.add(weights.defined() ? x.to(at::kFloat) * weights.sqrt().unsqueeze(1) : x);
  tokens_ += x.size(0);
}

}  // namespace halftone
