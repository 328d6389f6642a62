#include "format/stored_numbers.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

std::string stored_name(at::ScalarType dtype) {
  if (dtype == at::kFloat) return "F32";
  if (dtype == at::kBFloat16) return "BF16";
  if (dtype == at::kHalf) return "F16";
  fail("expected float32, bfloat16 or float16, found {}", c10::toString(dtype));
}

int significant_bits(at::ScalarType dtype) {
  return dtype == at::kFloat ? 24 : dtype == at::kHalf ? 11 : 8;
}

bool scales_fit(const at::Tensor& scales, at::ScalarType dtype) {
  return at::equal(scales.to(dtype).to(at::kFloat), scales);
}

at::Tensor exact_scales(const at::Tensor& scales, at::ScalarType dtype) {
  at::Tensor stored = scales.to(dtype).contiguous();
  const at::Tensor changed = stored.to(at::kFloat).ne(scales);
  if (changed.any().item<bool>())
    fail("scales: {} is not exact in {}", scales.masked_select(changed)[0].item<float>(),
         stored_name(dtype));
  return stored;
}

}  // namespace halftone
