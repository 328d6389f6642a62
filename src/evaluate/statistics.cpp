#include "evaluate/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace halftone {

template <class Number>
std::vector<double> window_means(const std::vector<Number>& values, int64_t windows) {
  assert(windows > 0 && values.size() % static_cast<size_t>(windows) == 0);
  const size_t positions = values.size() / static_cast<size_t>(windows);
  std::vector<double> means;
  for (size_t w = 0; w < static_cast<size_t>(windows); ++w) {
    double sum = 0;
    for (size_t p = 0; p < positions; ++p) sum += static_cast<double>(values[w * positions + p]);
    means.push_back(sum / static_cast<double>(positions));
  }
  return means;
}

template <class Number>
Estimate mean_over_windows(const std::vector<Number>& values, int64_t windows) {
  const std::vector<double> means = window_means(values, windows);
  const auto n = static_cast<double>(windows);
  double mean = 0, squares = 0;
  for (const double m : means) mean += m / n;
  for (const double m : means) squares += (m - mean) * (m - mean);
  Estimate estimate{mean};
  if (windows > 1) estimate.standard_error = std::sqrt(squares / (n - 1) / n);
  estimate.interval = bootstrap_interval(means);
  return estimate;
}

template std::vector<double> window_means(const std::vector<double>&, int64_t);
template std::vector<double> window_means(const std::vector<uint8_t>&, int64_t);
template Estimate mean_over_windows(const std::vector<double>&, int64_t);
template Estimate mean_over_windows(const std::vector<uint8_t>&, int64_t);

Estimate perplexity(const std::vector<double>& nll, int64_t windows) {
  Estimate estimate = mean_over_windows(nll, windows);
  estimate.value = std::exp(estimate.value);
  if (estimate.standard_error) *estimate.standard_error *= estimate.value;
  if (estimate.interval)
    estimate.interval = {std::exp(estimate.interval->low), std::exp(estimate.interval->high)};
  return estimate;
}

double percentile(std::vector<double>& values, double p) {
  assert(!values.empty());
  const double at = p * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(low), values.end());
  const double below = values[low];
  if (low + 1 == values.size()) return below;
  const double above =
      *std::min_element(values.begin() + static_cast<int64_t>(low) + 1, values.end());
  return below + (at - static_cast<double>(low)) * (above - below);
}

}  // namespace halftone
