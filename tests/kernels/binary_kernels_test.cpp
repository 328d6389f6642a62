// The binary grid's search on every instruction set against plain loops in double precision.
#include "kernels/binary_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "kernels/lane_kernels.h"

namespace halftone {
namespace {

template <class T>
constexpr double kClose = sizeof(T) == 4 ? 2e-5 : 1e-12;  // relative

struct Numbers {
  std::vector<double> values, weights;  // (columns)
};

// One order in plain loops: mean and scale, and what remains in place of the values.
std::pair<double, double> binarize(Numbers& numbers) {
  double total = 0, sum = 0, deviation = 0;
  for (size_t j = 0; j < numbers.values.size(); ++j) {
    total += numbers.weights[j];
    sum += numbers.weights[j] * numbers.values[j];
  }
  const double mean = total > 0 ? sum / total : 0;
  for (size_t j = 0; j < numbers.values.size(); ++j)
    deviation += numbers.weights[j] * std::abs(numbers.values[j] - mean);
  const double scale = total > 0 ? deviation / total : 0;
  for (size_t j = 0; j < numbers.values.size(); ++j) {
    const double off = numbers.values[j] - mean;
    if (numbers.weights[j] > 0) numbers.values[j] = off - scale * ((off > 0) - (off < 0));
  }
  return {mean, scale};
}

double error_of(Numbers numbers, int order) {
  for (int k = 0; k < order; ++k) binarize(numbers);
  double error = 0;
  for (size_t j = 0; j < numbers.values.size(); ++j)
    error += numbers.weights[j] * numbers.values[j] * numbers.values[j];
  return error;
}

// The columns of a lane for which `takes_part`; others keep their place with weight 0.
template <class T>
Numbers lane_of(const std::vector<T>& tile, const std::vector<T>& importance, int lane,
                const std::function<bool(size_t, double)>& takes_part) {
  Numbers numbers;
  for (size_t j = 0; j < importance.size(); ++j) {
    const double value = tile[j * kLanes + lane];
    numbers.values.push_back(value);
    numbers.weights.push_back(takes_part(j, value) ? static_cast<double>(importance[j]) : 0);
  }
  return numbers;
}

template <class T>
class BinaryKernelsOf : public ::testing::Test {
 protected:
  static constexpr int64_t kColumns = 61;

  BinaryKernelsOf() {
    std::mt19937_64 random(7);
    std::normal_distribution<double> draw;
    for (T& value : tile_) value = static_cast<T>(draw(random));
    for (T& value : importance_) value = static_cast<T>(std::exp(draw(random)));
    tile_[3 * kLanes + 2] = 0;
  }

  std::vector<T> tile_ = std::vector<T>(kColumns * kLanes);
  std::vector<T> importance_ = std::vector<T>(kColumns);
};
using Reals = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BinaryKernelsOf, Reals);

TYPED_TEST(BinaryKernelsOf, BinarizingGivesMeansScalesAndWhatRemains) {
  using T = TypeParam;
  std::vector<T> members(this->tile_.size());
  const auto is_member = [](size_t column, int64_t lane) { return (column * 5 + lane) % 3 != 0; };
  for (size_t i = 0; i < members.size(); ++i)
    members[i] = is_member(i / kLanes, i % kLanes) ? this->importance_[i / kLanes] : T{0};
  for (const InstructionSet set : available_instruction_sets()) {
    std::vector<T> values = this->tile_, means(kLanes), scales(kLanes);
    lane_kernels<T>(set).binary.binarize(this->kColumns, members.data(), values.data(),
                                         means.data(), scales.data());
    for (int lane = 0; lane < kLanes; ++lane) {
      Numbers expected = lane_of<T>(this->tile_, this->importance_, lane,
                                    [&](size_t j, double) { return is_member(j, lane); });
      const auto [mean, scale] = binarize(expected);
      EXPECT_NEAR(means[lane], mean, kClose<T>) << name_of(set);
      EXPECT_NEAR(scales[lane], scale, kClose<T>) << name_of(set);
      for (int64_t j = 0; j < this->kColumns; ++j)
        ASSERT_NEAR(values[j * kLanes + lane], expected.values[j], kClose<T>) << name_of(set);
    }
  }
}

TYPED_TEST(BinaryKernelsOf, NoMembersHaveNeitherMeanNorScale) {
  using T = TypeParam;
  const std::vector<T> members(this->tile_.size());
  for (const InstructionSet set : available_instruction_sets()) {
    std::vector<T> values = this->tile_, means(kLanes, 9), scales(kLanes, 9);
    lane_kernels<T>(set).binary.binarize(this->kColumns, members.data(), values.data(),
                                         means.data(), scales.data());
    EXPECT_EQ(values, this->tile_);
    EXPECT_EQ(means, std::vector<T>(kLanes));
    EXPECT_EQ(scales, std::vector<T>(kLanes));
  }
}

TYPED_TEST(BinaryKernelsOf, EqualNumbersHaveTheirValueAsMeanAndNoScale) {
  using T = TypeParam;
  const std::vector<T> members(5000 * kLanes, static_cast<T>(1.01));
  for (const InstructionSet set : available_instruction_sets()) {
    std::vector<T> values(members.size(), 5), means(kLanes), scales(kLanes);
    lane_kernels<T>(set).binary.binarize(5000, members.data(), values.data(), means.data(),
                                         scales.data());
    const double last_place = 5 * std::numeric_limits<T>::epsilon();
    for (int lane = 0; lane < kLanes; ++lane) {
      EXPECT_NEAR(means[lane], 5, last_place);
      EXPECT_LE(scales[lane], last_place);
    }
  }
}

TYPED_TEST(BinaryKernelsOf, SalientCostsAreThoseOfPlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets()) {
    std::vector<double> costs(49, 100);  // what is there is added to
    lane_kernels<T>(set).binary.salient_costs(this->kColumns, 49, this->tile_.data(),
                                              this->importance_.data(), costs.data());
    for (size_t count = 1; count <= 49; ++count) {
      double expected = 0;
      for (int lane = 0; lane < kLanes; ++lane)
        for (const bool leading : {true, false})
          expected += error_of(lane_of<T>(this->tile_, this->importance_, lane,
                                          [&](size_t j, double) { return (j < count) == leading; }),
                               2);
      EXPECT_NEAR((costs[count - 1] - 100) / expected, 1, 10 * kClose<T>) << name_of(set);
    }
  }
}

TYPED_TEST(BinaryKernelsOf, SplitCostsAreThoseOfPlainLoops) {
  using T = TypeParam;
  // one point below and one above everything: an empty side
  const std::vector<T> points = {static_cast<T>(1e-9), static_cast<T>(0.3), 1, 2, 100};
  for (const InstructionSet set : available_instruction_sets()) {
    std::vector<double> costs(points.size());
    lane_kernels<T>(set).binary.split_costs(this->kColumns, this->tile_.data(),
                                            this->importance_.data(), 5, points.data(),
                                            costs.data());
    for (size_t i = 0; i < points.size(); ++i) {
      double expected = 0;
      for (int lane = 0; lane < kLanes; ++lane)
        for (const bool bulk : {true, false})
          expected += error_of(
              lane_of<T>(this->tile_, this->importance_, lane,
                         [&](size_t, double w) { return (std::abs(w) < points[i]) == bulk; }),
              1);
      EXPECT_NEAR(costs[i] / expected, 1, 10 * kClose<T>) << name_of(set);
    }
  }
}

}  // namespace
}  // namespace halftone
