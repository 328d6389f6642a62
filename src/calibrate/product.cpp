#include "calibrate/product.h"

#include <ATen/ATen.h>

#include "kernels/mixed_product.h"

namespace halftone {

void add_product(at::Tensor sum, const at::Tensor& a, const at::Tensor& b) {
  const bool narrow = a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16;
  if (!narrow || !sum.is_cpu() || a.size(0) == 0 || !has_mixed_product()) {
    sum.addmm_(a.to(at::kFloat).t(), b.to(at::kFloat));
    return;
  }
  const auto operand = [](const at::Tensor& x, bool transposed) {
    return MixedOperand{static_cast<const BFloat16Bits*>(x.const_data_ptr()), x.stride(0),
                        transposed};
  };
  add_mixed_product(a.size(1), b.size(1), a.size(0), operand(a, /*transposed=*/true),
                    operand(b, /*transposed=*/false), sum.mutable_data_ptr<float>(), sum.stride(0));
}

}  // namespace halftone
