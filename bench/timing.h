// Stop watches that the benchmark programs share.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "kernels/products.h"

namespace halftone {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What large matrices are multiplied with here; chosen now, for the threads there are.
inline void print_products() {
  std::printf("products %s\n", std::string(name_of(products())).c_str());
}

inline double least_seconds(int repetitions, const std::function<void()>& work) {
  double least = 1e30;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = Clock::now();
    work();
    least = std::min(least, seconds_since(start));
  }
  return least;
}

// values: not empty
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

inline double gemm_rate_at(int64_t size, at::ScalarType dtype) {
  const at::Tensor a = at::randn({size, size}).to(dtype), b = at::randn({size, size}).to(dtype);
  const auto multiply = [&] { (void)a.mm(b); };
  multiply();
  return 2.0 * size * size * size / least_seconds(5, multiply);
}

// Operations a second of a matrix product: the best of five after a warm-up.
inline double gemm_rate(at::ScalarType dtype, int64_t size = 3072) {
  const at::Tensor a = at::randn({size, size}).to(dtype), b = at::randn({size, size}).to(dtype);
  const auto multiply = [&] { (void)a.mm(b); };
  multiply();
  return 2.0 * size * size * size / least_seconds(5, multiply);
}

// The processor has no instructions for it, so that whatever is measured would take minutes.
inline bool is_emulated(at::ScalarType dtype) {
  return gemm_rate(dtype, 256) < 10e9;
}

}  // namespace halftone
