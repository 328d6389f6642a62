#include "evaluate/llama_statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>

namespace halftone {
namespace {

// Sums over n tokens of two numbers each.
struct Moments {
  double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  void add(double a, double b) { n += 1, x += a, y += b, xx += a * a, yy += b * b, xy += a * b; }
  // of the means, not of the numbers
  double covariance(double a, double b, double ab) const {
    return (ab / n - a / n * (b / n)) / (n - 1);
  }
  double variance_x() const { return covariance(x, x, xx); }
  double variance_y() const { return covariance(y, y, yy); }
  double covariance_xy() const { return covariance(x, y, xy); }
};

double root(double variance) {
  return std::sqrt(std::max(0.0, variance));
}

TokenMean mean_of(size_t count, const std::function<double(size_t)>& number) {
  Moments moments;
  for (size_t i = 0; i < count; ++i) moments.add(number(i), 0);
  return {moments.x / moments.n, root(moments.variance_x())};
}

TokenDistribution distribution_of(std::vector<double> numbers) {
  TokenDistribution result;
  result.mean = mean_of(numbers.size(), [&](size_t i) { return numbers[i]; });
  if (std::isnan(result.mean.value))  // NaN has no place in an order
    std::fill(numbers.begin(), numbers.end(), result.mean.value);
  std::sort(numbers.begin(), numbers.end());
  result.sorted = std::move(numbers);
  return result;
}

// Ratio and difference of two perplexities over the same tokens.
void set_perplexities(const Scores& scores, LlamaStatistics& result) {
  Moments moments;
  for (size_t i = 0; i < scores.nll.size(); ++i)
    moments.add(scores.nll[i], scores.reference_nll[i]);
  const double own = moments.x / moments.n, base = moments.y / moments.n;
  const double own_error = root(moments.variance_x()), base_error = root(moments.variance_y());
  const double covariance = moments.covariance_xy();
  result.perplexity = {std::exp(own), std::exp(own) * own_error};
  result.base_perplexity = {std::exp(base), std::exp(base) * base_error};
  result.correlation = covariance / (own_error * base_error);
  const double ratio = std::exp(own - base);
  const double ratio_error = root(own_error * own_error + base_error * base_error - 2 * covariance);
  result.log_ratio = {own - base, ratio_error};
  result.ratio = {ratio, ratio * ratio_error};
  const double x = result.perplexity.error, y = result.base_perplexity.error;
  result.difference = {
      result.perplexity.value - result.base_perplexity.value,
      root(x * x + y * y -
           2 * result.perplexity.value * result.base_perplexity.value * covariance)};
}

}  // namespace

double TokenDistribution::quantile(double p) const {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  if (low + 1 >= sorted.size()) return sorted.back();
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[low + 1] - sorted[low]);
}

LlamaStatistics llama_statistics(const Scores& scores) {
  const size_t count = scores.nll.size();
  assert(count >= 2 && scores.kl.size() == count);
  LlamaStatistics result;
  set_perplexities(scores, result);
  result.kl = distribution_of(scores.kl);
  std::vector<double> change(count);
  for (size_t i = 0; i < count; ++i)
    change[i] = std::exp(-scores.nll[i]) - std::exp(-scores.reference_nll[i]);
  const TokenMean squares = mean_of(count, [&](size_t i) { return change[i] * change[i]; });
  const double rms = std::sqrt(squares.value);
  result.change_rms = {rms, rms > 0 ? 0.5 / rms * squares.error : 0};
  result.change = distribution_of(std::move(change));
  const double same =
      mean_of(count, [&](size_t i) { return static_cast<double>(scores.same_top[i]); }).value;
  result.same_top = {same, root(same * (1 - same) / (static_cast<double>(count) - 1))};
  return result;
}

}  // namespace halftone
