// What an error, or a weight, costs: tr(W H W^T), as many products as a sweep's own updates take.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// tr(W H W^T), using the symmetry of H: half of the products.   weight: (out, in); hessian: (in,
// in)
double quadratic_form(const at::Tensor& weight, const at::Tensor& hessian);

// The same for a report, faster where bfloat16 multiplies fast (kernels/mixed_product.h): there a
// float32 W is rounded to bfloat16 and H to the sum of two, a relative error of about 1e-5.
double reported_quadratic_form(const at::Tensor& weight, const at::Tensor& hessian);

}  // namespace halftone
