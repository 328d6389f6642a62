#include "matrix/permuted.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace halftone {
namespace {

constexpr int64_t kRows = 16;  // a task

template <class From, class To>
void permute(const at::Tensor& matrix, std::span<const int64_t> order, double scale,
             at::Tensor& result) {
  const auto in = static_cast<int64_t>(order.size());
  const From* from = matrix.const_data_ptr<From>();
  To* to = result.mutable_data_ptr<To>();
  const To factor = static_cast<To>(scale);
  at::parallel_for(0, in, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const From* row = from + order[i] * in;
      for (int64_t j = 0; j < in; ++j) to[i * in + j] = static_cast<To>(row[order[j]]) * factor;
    }
  });
}

}  // namespace

at::Tensor permuted(const at::Tensor& matrix, std::span<const int64_t> order, double scale,
                    at::ScalarType type) {
  at::Tensor result = at::empty(matrix.sizes(), matrix.options().dtype(type));
  const bool wide = matrix.scalar_type() == at::kDouble;
  if (type == at::kDouble)
    wide ? permute<double, double>(matrix, order, scale, result)
         : permute<float, double>(matrix, order, scale, result);
  else
    wide ? permute<double, float>(matrix, order, scale, result)
         : permute<float, float>(matrix, order, scale, result);
  return result;
}

}  // namespace halftone
