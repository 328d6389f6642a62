#include "evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace halftone {
namespace {

TEST(MeanOverWindows, ErrorIsThatOfTheWindowMeans) {
  const std::vector<double> values = {1, 3, 5, 7, 9, 11};  // window means 2, 6, 10
  const Estimate estimate = mean_over_windows(values, 3);
  EXPECT_DOUBLE_EQ(estimate.value, 6);
  EXPECT_DOUBLE_EQ(*estimate.standard_error, 4 / std::sqrt(3));
}

TEST(MeanOverWindows, OneWindowHasNoError) {
  EXPECT_FALSE(mean_over_windows(std::vector<double>{1, 2}, 1).standard_error.has_value());
}

TEST(Perplexity, IsTheExponentialOfTheMean) {
  const Estimate estimate = perplexity({std::log(2.0), std::log(8.0)}, 2);
  EXPECT_NEAR(estimate.value, 4, 1e-12);
  EXPECT_NEAR(*estimate.standard_error, 4 * std::log(2.0), 1e-12);
}

TEST(Percentile, InterpolatesLinearly) {
  std::vector<double> values = {40, 10, 30, 20};
  EXPECT_DOUBLE_EQ(percentile(values, 0), 10);
  EXPECT_DOUBLE_EQ(percentile(values, 0.5), 25);
  EXPECT_DOUBLE_EQ(percentile(values, 0.99), 39.7);
  EXPECT_DOUBLE_EQ(percentile(values, 1), 40);
}

}  // namespace
}  // namespace halftone
