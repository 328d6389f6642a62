#include "calibrate/held_out.h"

#include <ATen/ATen.h>

namespace halftone {

void HeldOutSums::add(const at::Tensor& x, const at::Tensor& original) {
  if (x.size(0) == 0) return;
  hessian_.add(x);
  moment_.add(x, original);
  drift_.add(original.to(at::kFloat) - x.to(at::kFloat));
}

}  // namespace halftone
