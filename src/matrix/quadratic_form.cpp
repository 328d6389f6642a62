#include "matrix/quadratic_form.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/mixed_product.h"
#include "kernels/products.h"

namespace halftone {
namespace {

constexpr int64_t kPanel = 512;  // columns of H at a time

// multiply(columns, product): product (out, count) = W times columns [first, first + count) of H,
// their rows before `first` counted twice, for everything beside their mirror image; those after
// the diagonal block are left out.   columns: (first + count, count)
template <class Multiply>
double sum_over_panels(const at::Tensor& weight, const at::Tensor& hessian, Multiply&& multiply) {
  const int64_t in = hessian.size(0), out = weight.size(0);
  at::Tensor products = at::empty({out * std::min(kPanel, in)}, weight.options());
  double total = 0;
  for (int64_t first = 0; first < in; first += kPanel) {
    const int64_t count = std::min(kPanel, in - first);
    at::Tensor product = products.narrow(0, 0, out * count).view({out, count});
    multiply(hessian.narrow(0, 0, first + count).narrow(1, first, count), product);
    total += product.mul_(weight.narrow(1, first, count)).sum(1).sum(at::kDouble).item<double>();
  }
  return total;
}

MixedOperand operand(const at::Tensor& x) {
  return {static_cast<const BFloat16Bits*>(x.const_data_ptr()), x.stride(0)};
}

}  // namespace

double quadratic_form(const at::Tensor& weight, const at::Tensor& hessian) {
  return sum_over_panels(weight, hessian, [&](const at::Tensor& columns, at::Tensor& product) {
    const at::Tensor typed = columns.to(weight.scalar_type());
    const int64_t count = typed.size(1), first = typed.size(0) - count;
    at::mm_out(product, weight.narrow(1, first, count), typed.narrow(0, first, count));
    if (first > 0) product.addmm_(weight.narrow(1, 0, first), typed.narrow(0, 0, first), 1, 2);
  });
}

double reported_quadratic_form(const at::Tensor& weight, const at::Tensor& hessian) {
  if (weight.scalar_type() != at::kFloat || !weight.is_cpu() || products() != Products::kTwoParts)
    return quadratic_form(weight, hessian);
  const at::Tensor rounded = weight.to(at::kBFloat16);
  return sum_over_panels(weight, hessian, [&](const at::Tensor& columns, at::Tensor& product) {
    at::Tensor rest = columns.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    rest.narrow(0, 0, columns.size(0) - columns.size(1)).mul_(2);
    const at::Tensor most = rest.to(at::kBFloat16);
    product.zero_();
    for (const at::Tensor& part : {most, rest.sub_(most).to(at::kBFloat16)})
      add_mixed_product(product.size(0), product.size(1), part.size(0), operand(rounded),
                        operand(part), product.mutable_data_ptr<float>(), product.stride(0));
  });
}

}  // namespace halftone
