#include "calibrate/input_hessian.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/row_access.h"

namespace halftone {
namespace {

// Row t of x times sqrt(weights_t), in x's dtype where x lies in rows: what is summed then takes
// the same products as without weights.
at::Tensor weighted_rows(const at::Tensor& x, const at::Tensor& weights) {
  const at::Tensor factors = weights.sqrt().contiguous();
  if (!lies_in_rows(x)) return x.to(at::kFloat) * factors.unsqueeze(1);
  at::Tensor out = at::empty_like(x);
  const int64_t width = x.size(1);
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T* from = numbers<T>(x);
    T* to = numbers_of<T>(out);
    const float* factor = factors.const_data_ptr<float>();
    at::parallel_for(0, x.size(0), 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        kernels.scale(width, from + row * width, factor[row], to + row * width);
    });
  });
  return out;
}

}  // namespace

void InputHessian::add(const at::Tensor& x, const at::Tensor& weights) {
  sum_.add(weights.defined() ? weighted_rows(x, weights) : x);
  tokens_ += x.size(0);
}

}  // namespace halftone
