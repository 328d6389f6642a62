#include "quantize/weight_distribution.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace halftone {
namespace {

constexpr int64_t kBins = 256;

using Histogram = std::array<double, kBins>;  // shares, all above 0

Histogram histogram(const at::Tensor& weights, double reach) {
  const at::Tensor numbers = weights.to(at::kFloat).contiguous();
  const float* number = numbers.const_data_ptr<float>();
  std::array<int64_t, kBins> counts{};
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    const double bin = std::floor((number[i] / reach + 1) * (kBins / 2));
    ++counts[static_cast<size_t>(std::clamp<double>(bin, 0, kBins - 1))];
  }
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
