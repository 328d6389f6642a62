#include "evaluate/bootstrap.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "evaluate/statistics.h"

namespace halftone {
namespace {

constexpr int kResamples = 10000;
constexpr uint64_t kSeed = 0;
constexpr double kLow = 0.025, kHigh = 0.975;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The mean of as many of them, drawn with replacement.
double resampled_mean(const std::vector<double>& values, Random& random) {
  const uint64_t count = values.size();
  double sum = 0;
  for (uint64_t i = 0; i < count; ++i) sum += values[((random.next() >> 32) * count) >> 32];
  return sum / static_cast<double>(count);
}

Interval interval_of(const std::function<double(Random&)>& draw) {
  Random random(kSeed);
  std::vector<double> drawn;
  drawn.reserve(kResamples);
  for (int i = 0; i < kResamples; ++i) drawn.push_back(draw(random));
  const double low = percentile(drawn, kLow);
  return {low, percentile(drawn, kHigh)};
}

bool any_is_nan(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

std::optional<Interval> bootstrap_interval(const std::vector<double>& window_means) {
  if (window_means.size() < 2) return std::nullopt;
  if (any_is_nan(window_means)) return Interval{kNan, kNan};
  return interval_of([&](Random& random) { return resampled_mean(window_means, random); });
}

GroupSpread spread_of_groups(const std::vector<std::vector<double>>& groups) {
  assert(!groups.empty());
  std::vector<double> means;
  for (const std::vector<double>& group : groups) means.push_back(mean_of(group));
  GroupSpread spread{.mean = mean_of(means), .interval = std::nullopt};
  for (size_t g = 1; g < means.size(); ++g)
    if (!std::isnan(means[spread.worst_group]) && !(means[g] <= means[spread.worst_group]))
      spread.worst_group = g;
  spread.worst = means[spread.worst_group];
  if (std::any_of(groups.begin(), groups.end(), [](const auto& group) { return group.size() < 2; }))
    return spread;
  if (any_is_nan(means)) {
    spread.interval = Interval{kNan, kNan};
    return spread;
  }
  spread.interval = interval_of([&](Random& random) {
    double worst = -std::numeric_limits<double>::infinity();
    for (const std::vector<double>& group : groups)
      worst = std::max(worst, resampled_mean(group, random));
    return worst;
  });
  return spread;
}

}  // namespace halftone
