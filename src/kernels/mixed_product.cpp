#include "kernels/mixed_product.h"

#include <algorithm>
#include <vector>

// oneMKL's, part of libtorch on x86 (its header is not); null in programs without it.
// C (m, n) float32 = alpha op(A) op(B) + beta C, matrices of bfloat16 bits.
extern "C" void cblas_gemm_bf16bf16f32(int layout, int transpose_a, int transpose_b, int m, int n,
                                       int k, float alpha, const uint16_t* a, int lda,
                                       const uint16_t* b, int ldb, float beta, float* c, int ldc)
    __attribute__((weak));

namespace halftone {
namespace {

void multiply(int64_t m, int64_t n, int64_t k, const MixedOperand& a, const MixedOperand& b,
              float* c, int64_t c_stride) {
  constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
  const auto number = [](int64_t value) { return static_cast<int>(value); };
  const auto form = [](const MixedOperand& x) { return x.transposed ? kTransposed : kPlain; };
  cblas_gemm_bf16bf16f32(kRowMajor, form(a), form(b), number(m), number(n), number(k), 1.0F,
                         &a.numbers->bits, number(a.stride), &b.numbers->bits, number(b.stride),
                         1.0F, c, number(c_stride));
}

// One sum that bfloat16 could not hold.
bool adds_in_float32() {
  constexpr int64_t kTokens = 64, kWidth = 32;
  const std::vector<BFloat16Bits> x(kTokens * kWidth, BFloat16Bits{0x3f81});  // 1 + 2^-7
  std::vector<float> sum(kWidth * kWidth, 1.0F);
  multiply(kWidth, kWidth, kTokens, {x.data(), kWidth, true}, {x.data(), kWidth}, sum.data(),
           kWidth);
  const float expected = 1 + 64 * 1.0078125F * 1.0078125F;
  return std::all_of(sum.begin(), sum.end(), [&](float value) { return value == expected; });
}

}  // namespace

bool has_mixed_product() {
  static const bool answer = cblas_gemm_bf16bf16f32 != nullptr && adds_in_float32();
  return answer;
}

void add_mixed_product(int64_t m, int64_t n, int64_t k, const MixedOperand& a,
                       const MixedOperand& b, float* c, int64_t c_stride) {
  multiply(m, n, k, a, b, c, c_stride);
}

}  // namespace halftone
