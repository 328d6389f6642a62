// Every instruction set of this build and processor against plain loops and against the portable
// compilation.
#include "kernels/lane_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace halftone {
namespace {

constexpr double kFusedFloat = 1e-6;  // a fused multiply-add may differ by rounding, relative
constexpr double kNearTie =
    1e-5;  // how far from the least error a searched float32 grid may be, relative
constexpr int64_t kColumns = 75;

std::vector<InstructionSet> sets() {
  return available_instruction_sets();
}

template <class T>
std::vector<T> normal(int64_t count, uint64_t seed, double scale = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(0, scale);
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) value = static_cast<T>(draw(random));
  return values;
}

std::vector<UniformRule> rules() {
  std::vector<UniformRule> result;
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {false, true})
      for (const int scale_bits : {0, 8})
        for (const int zero_min : {0, 1})
          result.push_back(
              {(1 << bits) - 1, symmetric, symmetric ? 0 : zero_min, scale_bits, 1, 2.4});
  return result;
}

template <class T>
struct Fit {
  std::vector<T> scales = std::vector<T>(kLanes), zeros = std::vector<T>(kLanes);
};

template <class T>
Fit<T> fit(InstructionSet set, const UniformRule& rule, const std::vector<T>& tile,
           const std::vector<T>& importance = std::vector<T>(kColumns, 1)) {
  Fit<T> result;
  lane_kernels<T>(set).fit_uniform(rule, static_cast<int64_t>(tile.size()) / kLanes, tile.data(),
                                   importance.data(), result.scales.data(), result.zeros.data());
  return result;
}

// sum of importance |value - w|^norm of one lane, in double precision
template <class T>
double error_of(const UniformRule& rule, const std::vector<T>& tile,
                const std::vector<T>& importance, int lane, double scale, double zero) {
  double sum = 0;
  for (int64_t column = 0; column < kColumns; ++column) {
    const double w = tile[column * kLanes + lane];
    const double code = std::min(std::max(std::nearbyint(w / scale) + zero, 0.0), double(rule.top));
    sum += importance[column] * std::pow(std::abs(scale * (code - zero) - w), rule.clip_norm);
  }
  return sum;
}

template <class T>
class LaneKernelsOf : public ::testing::Test {};
using Reals = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LaneKernelsOf, Reals);

TYPED_TEST(LaneKernelsOf, MinMaxFitsAndRoundingAgreeOnEveryInstructionSet) {
  using T = TypeParam;
  const auto tile = normal<T>(kColumns * kLanes, 1, 0.05);
  for (const UniformRule& rule : rules()) {
    const Fit<T> expected = fit<T>(InstructionSet::kPortable, rule, tile);
    for (const InstructionSet set : sets()) {
      const Fit<T> found = fit<T>(set, rule, tile);
      EXPECT_EQ(found.scales, expected.scales) << name_of(set);
      EXPECT_EQ(found.zeros, expected.zeros) << name_of(set);
      for (int64_t column = 0; column < kColumns; ++column) {
        std::vector<uint8_t> codes(kLanes);
        std::vector<T> values(kLanes);
        lane_kernels<T>(set).round_uniform(rule, &tile[column * kLanes], found.scales.data(),
                                           found.zeros.data(), codes.data(), values.data());
        for (int lane = 0; lane < kLanes; ++lane) {
          const T scale = found.scales[lane], zero = found.zeros[lane],
                  ratio = tile[column * kLanes + lane] / scale;
          T code = std::min<T>(std::max<T>(std::nearbyint(ratio) + zero, 0), rule.top);
          // the far end of a symmetric group lies on a tie, up to rounding: code 1
          if (rule.symmetric && code == 0 &&
              std::abs(ratio + T(rule.top) / 2) < 1e-6 * rule.top / 2)
            code = 1;
          ASSERT_EQ(codes[lane], code) << name_of(set);
          ASSERT_EQ(values[lane], scale * (code - zero)) << name_of(set);
        }
      }
    }
  }
}

// Weights 2^-k times as large have scales 2^-k times as large, far below the subnormals of float16.
TYPED_TEST(LaneKernelsOf, ScalesFollowTheWeightsDownToWhatTheirTypeHolds) {
  using T = TypeParam;
  const auto tile = normal<T>(kColumns * kLanes, 1, 0.05);
  const std::vector<T> importance(kColumns, 1);
  for (UniformRule rule : rules())
    for (const int candidates : {1, 80})
      for (const InstructionSet set : sets()) {
        rule.candidates = candidates;
        const Fit<T> expected = fit<T>(set, rule, tile);
        for (const int k : {7, 20, 60, 100}) {
          std::vector<T> small = tile;
          for (T& weight : small) weight = std::ldexp(weight, -k);
          Fit<T> found = fit<T>(set, rule, small);
          for (T& scale : found.scales) scale = std::ldexp(scale, k);
          if (candidates == 1) {
            EXPECT_EQ(found.scales, expected.scales) << name_of(set) << " 2^-" << k;
            EXPECT_EQ(found.zeros, expected.zeros) << name_of(set) << " 2^-" << k;
          }
          for (int lane = 0; lane < kLanes; ++lane)  // powers of small errors round otherwise
            EXPECT_LE(error_of(rule, tile, importance, lane, found.scales[lane], found.zeros[lane]),
                      1.0001 * error_of(rule, tile, importance, lane, expected.scales[lane],
                                        expected.zeros[lane]));
        }
      }
}

TYPED_TEST(LaneKernelsOf, Float16ScalesAreMultiplesOfTheLeastWhereTheyAreSmall) {
  using T = TypeParam;
  for (const UniformRule& wide : rules()) {
    if (wide.scale_bits == 0) continue;
    UniformRule rule = wide;
    rule.float16_scales = true;
    for (const double size : {1.0, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9, 0.0}) {
      const auto tile = normal<T>(kColumns * kLanes, 1, size == 0 ? 1 : size);
      const std::vector<T> zeros(tile.size(), 0);
      for (const InstructionSet set : sets()) {
        const Fit<T> found = fit<T>(set, rule, size == 0 ? zeros : tile);
        const Fit<T> free = fit<T>(set, wide, size == 0 ? zeros : tile);
        for (int lane = 0; lane < kLanes; ++lane) {
          const double scale = found.scales[lane], unbounded = free.scales[lane];
          if (size == 0) {
            EXPECT_EQ(scale, 0x1p-14);
          } else if (unbounded >= 0x1p-14) {
            EXPECT_EQ(scale, unbounded);
          } else {
            EXPECT_GE(scale, 0x1p-24);
            EXPECT_EQ(scale * 0x1p24, std::nearbyint(scale * 0x1p24));
            // asymmetric: the zero follows from the rounded scale, and may widen it
            if (rule.zero_min == 0 && unbounded > 0x1p-24) {
              EXPECT_NEAR(scale, unbounded, 0x1p-25);
            }
          }
        }
      }
    }
  }
}

TYPED_TEST(LaneKernelsOf, ClipSearchFindsTheFirstLeastErrorOfDoublePrecision) {
  using T = TypeParam;
  for (const double norm : {1.0, 2.0, 2.4, 4.0})
    for (const double size : {1e-3, 1.0, 1e3})
      for (UniformRule rule : rules()) {
        rule.candidates = 80;
        rule.clip_norm = norm;
        const auto tile = normal<T>(kColumns * kLanes, 2, size);
        auto importance = normal<T>(kColumns, 3);
        for (T& value : importance) value = std::abs(value);
        for (const InstructionSet set : sets()) {
          const Fit<T> found = fit<T>(set, rule, tile, importance);
          for (int lane = 0; lane < kLanes; ++lane) {
            double least = INFINITY;
            for (int i = 0; i < 80; ++i) {  // the candidates, each fitted as a range of its own
              UniformRule plain = rule;
              plain.candidates = 1;
              std::vector<T> shrunk = tile;
              for (T& w : shrunk) w *= static_cast<T>(1 - i / 100.0);
              const Fit<T> grid = fit<T>(InstructionSet::kPortable, plain, shrunk);
              least = std::min(least, error_of(rule, tile, importance, lane, grid.scales[lane],
                                               grid.zeros[lane]));
              if (lane > 0 && i > 40) break;  // the deepest cuts are checked on one lane
            }
            const double error =
                error_of(rule, tile, importance, lane, found.scales[lane], found.zeros[lane]);
            ASSERT_LE(error, least * (1 + kNearTie))
                << name_of(set) << " lane " << lane << " norm " << norm;
          }
        }
        if (norm != 2.4) break;  // the other norms once
      }
}

TYPED_TEST(LaneKernelsOf, ASignedScalePutsTheSideWithOneMoreCodeWhereItPays) {
  using T = TypeParam;
  auto tile = normal<T>(kColumns * kLanes, 12, 0.05);
  for (T& w : tile) w = std::abs(w) - static_cast<T>(0.01);  // the positive side is the longer one
  const auto importance = std::vector<T>(kColumns, 1);
  for (const int bits : {2, 3, 4})
    for (const int candidates : {1, 80})
      for (const InstructionSet set : sets()) {
        UniformRule rule{(1 << bits) - 1, true, 0, 8, candidates, 2.4};
        const Fit<T> positive = fit<T>(set, rule, tile);
        rule.signed_scale = true;
        const Fit<T> found = fit<T>(set, rule, tile);
        std::vector<T> turned = tile;
        for (T& w : turned) w = -w;
        const Fit<T> other = fit<T>(set, rule, turned);
        for (int lane = 0; lane < kLanes; ++lane) {
          EXPECT_LT(found.scales[lane], 0) << name_of(set) << " " << bits;
          EXPECT_EQ(other.scales[lane], -found.scales[lane]) << name_of(set) << " " << bits;
          EXPECT_LE(
              error_of(rule, tile, importance, lane, found.scales[lane], found.zeros[lane]),
              error_of(rule, tile, importance, lane, positive.scales[lane], positive.zeros[lane]));
        }
      }
}

TYPED_TEST(LaneKernelsOf, MembersAreFittedAsIfTheyWereAllThatThereIs) {
  using T = TypeParam;
  const auto tile = normal<T>(kColumns * kLanes, 8, 0.05);
  auto importance = normal<T>(kColumns, 9), members = normal<T>(kColumns * kLanes, 10);
  for (T& value : importance) value = std::abs(value);
  for (T& value : members) value = value > 1;
  for (int64_t column = 0; column < kColumns; ++column) members[column * kLanes + 5] = 0;
  for (const int candidates : {1, 80})
    for (UniformRule rule : rules()) {
      rule.candidates = candidates;
      for (const InstructionSet set : sets()) {
        Fit<T> found;
        lane_kernels<T>(set).fit_uniform_members(rule, kColumns, tile.data(), importance.data(),
                                                 members.data(), found.scales.data(),
                                                 found.zeros.data());
        for (int lane = 0; lane < kLanes; ++lane) {
          std::vector<T> own, weights;  // the lane's members, in every lane
          for (int64_t column = 0; column < kColumns; ++column) {
            if (members[column * kLanes + lane] == 0) continue;
            own.insert(own.end(), kLanes, tile[column * kLanes + lane]);
            weights.push_back(importance[column]);
          }
          if (own.empty()) own.assign(kLanes, 0), weights.assign(1, 1);
          const Fit<T> expected = fit<T>(set, rule, own, weights);
          ASSERT_EQ(found.scales[lane], expected.scales[lane]) << name_of(set) << " " << lane;
          ASSERT_EQ(found.zeros[lane], expected.zeros[lane]) << name_of(set) << " " << lane;
        }
      }
    }
}

TYPED_TEST(LaneKernelsOf, SubtractOuterEqualsPlainLoops) {
  using T = TypeParam;
  const auto start = normal<T>(kColumns * kLanes, 4), factors = normal<T>(kColumns, 5),
             lanes = normal<T>(kLanes, 6);
  for (const InstructionSet set : sets())
    for (const int64_t columns : {int64_t{0}, int64_t{1}, kColumns}) {
      auto tile = start;
      lane_kernels<T>(set).subtract_outer(columns, factors.data(), lanes.data(), tile.data());
      for (int64_t i = 0; i < kColumns * kLanes; ++i) {
        const T product = i / kLanes < columns ? factors[i / kLanes] * lanes[i % kLanes] : T{0};
        ASSERT_NEAR(tile[i], start[i] - product, kFusedFloat) << name_of(set);
      }
    }
}

TYPED_TEST(LaneKernelsOf, RoundingIsHalfToEven) {
  using T = TypeParam;
  const UniformRule rule{15, false, 0, 0, 1, 2.4};
  std::vector<T> weights(kLanes), scales(kLanes, 1), zeros(kLanes, 7), values(kLanes);
  for (int lane = 0; lane < kLanes; ++lane)
    weights[lane] = static_cast<T>(lane - 8) + static_cast<T>(0.5);
  const std::vector<uint8_t> expected{0, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15};
  for (const InstructionSet set : sets()) {
    std::vector<uint8_t> codes(kLanes);
    lane_kernels<T>(set).round_uniform(rule, weights.data(), scales.data(), zeros.data(),
                                       codes.data(), values.data());
    EXPECT_EQ(codes, expected) << name_of(set);
  }
}

TYPED_TEST(LaneKernelsOf, SymmetricTieTakesTheCodeInsideTheRange) {
  using T = TypeParam;
  for (const InstructionSet set : sets())
    for (const int bits : {2, 3, 4, 8})
      for (const double reach : {1.0, 0.3, 7.7, 0.0123}) {
        const UniformRule rule{(1 << bits) - 1, true, 0, 0, 1, 2.4};
        std::vector<T> tile(kLanes, static_cast<T>(-reach));
        tile.resize(2 * kLanes, static_cast<T>(reach / 3));
        const Fit<T> grid = fit<T>(set, rule, tile);
        std::vector<uint8_t> codes(kLanes);
        std::vector<T> values(kLanes);
        lane_kernels<T>(set).round_uniform(rule, tile.data(), grid.scales.data(), grid.zeros.data(),
                                           codes.data(), values.data());
        EXPECT_EQ(codes[0], 1) << name_of(set) << " " << bits << " bits, " << reach;
      }
}

TEST(LaneKernels, UnalignedPointersAreFine) {
  const auto source = normal<float>(kColumns * kLanes + 1, 7);
  for (const InstructionSet set : sets()) {
    const std::vector<float> tile(source.begin() + 1, source.end());
    Fit<float> shifted;
    const std::vector<float> ones(kColumns, 1);
    lane_kernels<float>(set).fit_uniform({}, kColumns, source.data() + 1, ones.data(),
                                         shifted.scales.data(), shifted.zeros.data());
    EXPECT_EQ(shifted.scales, fit<float>(set, {}, tile).scales);
  }
}

TEST(InstructionSets, StartWithThePortableOneAndHaveNames) {
  ASSERT_FALSE(sets().empty());
  EXPECT_EQ(sets().front(), InstructionSet::kPortable);
  EXPECT_EQ(name_of(InstructionSet::kAvx512), "avx512");
  EXPECT_EQ(instruction_set(), name_of(sets().back()));
}

}  // namespace
}  // namespace halftone
