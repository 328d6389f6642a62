#include "quantize/weight_distribution.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

namespace halftone {
namespace {

constexpr int64_t kBins = 256;
constexpr int64_t kChunk = 1 << 16;  // weights at a time, what the second-level cache holds

using Histogram = std::array<double, kBins>;  // shares, all above 0

// weights_of(row, count): `count` of `rows` rows, (count, in)
template <class WeightsOf>
Histogram histogram(int64_t rows, int64_t in, double reach, WeightsOf&& weights_of) {
  const int64_t chunk = std::max<int64_t>(1, kChunk / in);
  const double bins_of_one = kBins / 2 / reach;
  std::array<std::atomic<int64_t>, kBins> counts{};
  at::parallel_for(0, rows, chunk, [&](int64_t begin, int64_t end) {
    std::array<int64_t, kBins> own{};
    for (int64_t row = begin; row < end; row += chunk) {
      const at::Tensor part =
          weights_of(row, std::min(chunk, end - row)).to(at::kFloat).contiguous();
      const float* number = part.template const_data_ptr<float>();
      for (int64_t i = 0; i < part.numel(); ++i) {
        const double bin = number[i] * bins_of_one + kBins / 2;
        ++own[static_cast<size_t>(std::clamp<double>(bin, 0, kBins - 1))];
      }
    }
    for (size_t bin = 0; bin < kBins; ++bin) counts[bin] += own[bin];
  });
  Histogram shares{};
  const double total = static_cast<double>(rows * in) + kBins * 0.5;
  for (size_t bin = 0; bin < kBins; ++bin)
    shares[bin] = (static_cast<double>(counts[bin]) + 0.5) / total;
  return shares;
}

}  // namespace

double weight_divergence(const at::Tensor& original, const QuantizedLinear& quantized) {
  at::NoGradGuard no_grad;
  const auto [least, greatest] = at::aminmax(original);
  const double reach = std::max(-least.item<double>(), greatest.item<double>());
  if (reach == 0) return 0;
  const int64_t rows = original.size(0), in = original.size(1);
  const Histogram p = histogram(
      rows, in, reach, [&](int64_t row, int64_t count) { return original.narrow(0, row, count); });
  const at::Tensor all = quantized.is_rotated() ? dequantize(quantized) : at::Tensor();
  const Histogram q = histogram(rows, in, reach, [&](int64_t row, int64_t count) {
    return all.defined() ? all.narrow(0, row, count) : dequantize_rows(quantized, row, count);
  });
  double divergence = 0;
  for (size_t bin = 0; bin < kBins; ++bin) divergence += p[bin] * std::log(p[bin] / q[bin]);
  return divergence;
}

}  // namespace halftone
