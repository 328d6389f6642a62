#include "quantize/weight_distribution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

namespace halftone {
namespace {

constexpr int64_t kBins = 256;
constexpr int64_t kGrain = 1 << 16;  // weights a task

using Histogram = std::array<double, kBins>;  // shares, all above 0

Histogram histogram(const at::Tensor& weights, double reach) {
  const at::Tensor numbers = weights.to(at::kFloat).contiguous();
  const float* number = numbers.const_data_ptr<float>();
  std::array<std::atomic<int64_t>, kBins> counts{};
  at::parallel_for(0, numbers.numel(), kGrain, [&](int64_t begin, int64_t end) {
    std::array<int64_t, kBins> own{};
    for (int64_t i = begin; i < end; ++i) {
      const double bin = (number[i] / reach + 1) * (kBins / 2);
      ++own[static_cast<size_t>(std::clamp<double>(bin, 0, kBins - 1))];
    }
    for (size_t bin = 0; bin < kBins; ++bin) counts[bin] += own[bin];
  });
  Histogram shares{};
  const double total = static_cast<double>(numbers.numel()) + kBins * 0.5;
  for (size_t bin = 0; bin < kBins; ++bin)
    shares[bin] = (static_cast<double>(counts[bin]) + 0.5) / total;
  return shares;
}

}  // namespace

double weight_divergence(const at::Tensor& original, const at::Tensor& quantized) {
  const double reach = original.abs().max().item<double>();
  if (reach == 0) return 0;
  const Histogram p = histogram(original, reach), q = histogram(quantized, reach);
  double divergence = 0;
  for (size_t bin = 0; bin < kBins; ++bin) divergence += p[bin] * std::log(p[bin] / q[bin]);
  return divergence;
}

}  // namespace halftone
