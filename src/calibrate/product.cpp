#include "calibrate/product.h"

#include <ATen/ATen.h>

#include <cstdint>

#include "kernels/bfloat16.h"

// oneMKL's mixed product, part of libtorch on x86 (its header is not); null in builds without it.
// C (m, n) float32 = alpha op(A) op(B) + beta C, matrices of bfloat16 bits.
extern "C" void cblas_gemm_bf16bf16f32(int layout, int transpose_a, int transpose_b, int m, int n,
                                       int k, float alpha, const uint16_t* a, int lda,
                                       const uint16_t* b, int ldb, float beta, float* c, int ldc)
    __attribute__((weak));

namespace halftone {
namespace {

// a, b: bfloat16, contiguous rows
void mixed_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
  constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
  const auto number = [](int64_t value) { return static_cast<int>(value); };
  const auto* left = reinterpret_cast<const uint16_t*>(a.const_data_ptr<at::BFloat16>());
  const auto* right = reinterpret_cast<const uint16_t*>(b.const_data_ptr<at::BFloat16>());
  cblas_gemm_bf16bf16f32(kRowMajor, kTransposed, kPlain, number(a.size(1)), number(b.size(1)),
                         number(a.size(0)), 1.0F, left, number(a.stride(0)), right,
                         number(b.stride(0)), 1.0F, sum.mutable_data_ptr<float>(),
                         number(sum.stride(0)));
}

// There, fast here, and asked once for a sum that bfloat16 could not hold.
bool mixed_product_works() {
  static const bool answer = [] {
    if (cblas_gemm_bf16bf16f32 == nullptr || !cpu_multiplies_bfloat16()) return false;
    const at::Tensor x = at::full({64, 32}, 1.0078125, at::kBFloat16);  // 1 + 2^-7
    at::Tensor sum = at::ones({32, 32}, at::kFloat);
    mixed_product(sum, x, x);
    return sum.eq(1 + 64 * 1.0078125 * 1.0078125).all().item<bool>();
  }();
  return answer;
}

}  // namespace

void add_product(at::Tensor sum, const at::Tensor& a, const at::Tensor& b) {
  const bool narrow = a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16;
  if (narrow && sum.is_cpu() && a.size(0) > 0 && mixed_product_works())
    mixed_product(sum, a, b);
  else
    sum.addmm_(a.to(at::kFloat).t(), b.to(at::kFloat));
}

}  // namespace halftone
