#include "evaluate/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "evaluate/statistics.h"

namespace halftone {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A slow and obvious one, by another generator and by order statistics.
Interval reference_interval(const std::vector<double>& values) {
  std::mt19937_64 random(17);
  std::uniform_int_distribution<size_t> at(0, values.size() - 1);
  std::vector<double> means;
  for (int i = 0; i < 40000; ++i) {
    double sum = 0;
    for (size_t k = 0; k < values.size(); ++k) sum += values[at(random)];
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  return {means[1000], means[39000]};
}

std::vector<double> skewed(size_t count) {
  std::mt19937_64 random(3);
  std::exponential_distribution<double> draw(2);
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) values.push_back(draw(random));
  return values;
}

TEST(Bootstrap, AgreesWithASlowOne) {
  const std::vector<double> values = skewed(40);
  const Interval slow = reference_interval(values), fast = *bootstrap_interval(values);
  const double width = slow.high - slow.low;
  EXPECT_NEAR(fast.low, slow.low, 0.03 * width);
  EXPECT_NEAR(fast.high, slow.high, 0.03 * width);
}

TEST(Bootstrap, IsTheSameEveryTime) {
  const std::vector<double> values = skewed(12);
  EXPECT_EQ(bootstrap_interval(values)->low, bootstrap_interval(values)->low);
  EXPECT_EQ(bootstrap_interval(values)->high, bootstrap_interval(values)->high);
}

TEST(Bootstrap, HoldsTheMeanInAboutNineteenOfTwentySamples) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> draw(1, 2);
  int held = 0;
  for (int sample = 0; sample < 200; ++sample) {
    std::vector<double> values;
    for (int i = 0; i < 50; ++i) values.push_back(draw(random));
    const Interval interval = *bootstrap_interval(values);
    held += interval.low <= 1 && 1 <= interval.high;
  }
  EXPECT_GT(held, 180);
  EXPECT_LT(held, 199);
}

TEST(Bootstrap, OneWindowHasNoneAndNanStaysNan) {
  EXPECT_FALSE(bootstrap_interval({1}));
  EXPECT_TRUE(std::isnan(bootstrap_interval({1, kNan})->low));
}

TEST(Bootstrap, EqualWindowsHaveAnIntervalOfNoWidth) {
  const Interval interval = *bootstrap_interval({0.25, 0.25, 0.25});
  EXPECT_EQ(interval.low, 0.25);
  EXPECT_EQ(interval.high, 0.25);
}

TEST(Estimates, CarryTheirIntervals) {
  const std::vector<double> nll = {0.5, 1.5, 1, 2, 3, 1};  // three windows of two
  const Interval of_means = *bootstrap_interval({1, 1.5, 2});
  EXPECT_EQ(mean_over_windows(nll, 3).interval->low, of_means.low);
  EXPECT_EQ(perplexity(nll, 3).interval->high, std::exp(of_means.high));
}

TEST(GroupSpread, IsTheWorstAndItsDistanceFromTheMean) {
  const GroupSpread spread = spread_of_groups({{1, 2, 3}, {4, 8}, {3, 3, 3, 3}});
  EXPECT_DOUBLE_EQ(spread.mean, (2 + 6 + 3) / 3.0);
  EXPECT_EQ(spread.worst, 6);
  EXPECT_EQ(spread.worst_group, 1u);
  EXPECT_DOUBLE_EQ(spread.gap(), 6 - 11 / 3.0);
  EXPECT_EQ(spread.interval->low, 4);  // both draws the lower one
  EXPECT_EQ(spread.interval->high, 8);
}

TEST(GroupSpread, TheIntervalIsOfTheGreatestOfAllGroups) {
  // either is the greatest now and then, so the interval lies above that of each alone
  const std::vector<double> a = skewed(10);
  std::vector<double> b = a;
  std::reverse(b.begin(), b.end());
  const GroupSpread spread = spread_of_groups({a, b});
  EXPECT_GT(spread.interval->low, bootstrap_interval(a)->low);
  EXPECT_GE(spread.interval->high, bootstrap_interval(a)->high);
}

TEST(GroupSpread, NanIsTheWorstAndASingleWindowHasNoInterval) {
  const GroupSpread spread = spread_of_groups({{1, 2}, {kNan, 1}, {5, 6}});
  EXPECT_EQ(spread.worst_group, 1u);
  EXPECT_TRUE(std::isnan(spread.interval->high));
  EXPECT_FALSE(spread_of_groups({{1, 2}, {3}}).interval);
}

}  // namespace
}  // namespace halftone
