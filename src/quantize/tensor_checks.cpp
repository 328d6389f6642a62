#include "quantize/tensor_checks.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace halftone {

void check_tensor(const char* what, const at::Tensor& tensor, at::ScalarType dtype,
                  const std::vector<int64_t>& shape) {
  require(tensor.defined() && tensor.scalar_type() == dtype && tensor.sizes() == shape,
          "{}: expected {} of ({}), found {} of ({})", what, c10::toString(dtype),
          fmt::join(shape, ", "), tensor.defined() ? c10::toString(tensor.scalar_type()) : "none",
          tensor.defined() ? fmt::format("{}", fmt::join(tensor.sizes(), ", ")) : "");
}

void check_below(const char* what, const at::Tensor& numbers, int64_t limit) {
  if (numbers.numel() == 0) return;
  const auto [least, most] = numbers.aminmax();
  require(least.item<int64_t>() >= 0 && most.item<int64_t>() < limit,
          "{}: expected 0 .. {}, found {} .. {}", what, limit - 1, least.item<int64_t>(),
          most.item<int64_t>());
}

void check_float16(const char* what, const at::Tensor& numbers) {
  require(numbers.isfinite().all().item<bool>(), "{}: a number is not finite", what);
  require(at::equal(numbers.to(at::kHalf).to(at::kFloat), numbers),
          "{}: a number is not exact in float16", what);
}

}  // namespace halftone
