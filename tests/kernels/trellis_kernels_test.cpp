// The trellis' codes against values worked by hand, exhaustive search and the rates that Gaussian
// numbers allow.
#include "kernels/trellis_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/lane_kernels.h"

namespace halftone {
namespace {

constexpr double kClose = 1e-5;  // relative, of sums in float32

struct Trellis {
  std::vector<float> values;
  TrellisRule rule;

  Trellis(const char* code, int bits, int state_bits)
      : values(size_t{1} << state_bits), rule{bits, state_bits, nullptr} {
    const TrellisCodeValue value = find_trellis_code(code);
    for (uint32_t state = 0; state < values.size(); ++state) values[state] = value(state);
    rule.values = values.data();
  }
  Trellis(const Trellis&) = delete;
  Trellis& operator=(const Trellis&) = delete;

  double root_mean_square() const {
    double sum = 0;
    for (const float value : values) sum += double{value} * value;
    return std::sqrt(sum / static_cast<double>(values.size()));
  }
};

using Tile = std::array<float, kTrellisTile>;
using Codes = std::array<uint8_t, kTrellisTile>;

Tile gaussian(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> draw;
  Tile tile;
  for (float& each : tile) each = draw(random);
  return tile;
}

Tile uneven(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> draw(0.2F, 1);
  Tile weights;
  for (float& each : weights) each = draw(random);
  return weights;
}

Tile even() {
  Tile weights;
  weights.fill(1);
  return weights;
}

Codes encode(const TrellisRule& rule, const Tile& x, const Tile& weights,
             InstructionSet set = best_instruction_set()) {
  std::vector<float> scratch(trellis_scratch_bytes(rule) / sizeof(float));
  Codes codes;
  trellis_kernels(set).encode(rule, x.data(), weights.data(), codes.data(), scratch.data());
  return codes;
}

double cost_of(const TrellisRule& rule, const Tile& x, const Tile& weights, const Codes& codes) {
  Tile values;
  decode_trellis(rule, codes.data(), values.data());
  double sum = 0;
  for (int i = 0; i < kTrellisTile; ++i) {
    const double off = double{x[i]} - values[i];
    sum += weights[i] * off * off;
  }
  return sum;
}

TEST(TrellisCodes, AreTheKnownNumbers) {
  // by Python's struct: halves of (s * 89226354 + 64248484 & 0x8fff8fff) ^ 0x3b603b60 as float16,
  // summed
  EXPECT_EQ(find_trellis_code("3inst")(0), 0.76806640625F);
  EXPECT_EQ(find_trellis_code("3inst")(1), -0.91943359375F);
  EXPECT_EQ(find_trellis_code("3inst")(65535), -0.158203125F);
  EXPECT_EQ(find_trellis_code("mcg")(1), 0.134521484375F);
  EXPECT_EQ(find_trellis_code("mcg")(65535), 0.85009765625F);
  // bytes of 76625530 = 0x0491367a: 4 + 145 + 54 + 122 = 325
  EXPECT_FLOAT_EQ(find_trellis_code("1mad")(0), (325 - 510) / 147.8F);
  EXPECT_EQ(find_trellis_code("2inst"), nullptr);
}

// The states of a tile, each the last bits of the circle, found bit by bit.
std::vector<uint32_t> states_of(const TrellisRule& rule, const Codes& codes) {
  std::vector<int> circle;
  for (const uint8_t code : codes)
    for (int bit = rule.bits - 1; bit >= 0; --bit) circle.push_back(code >> bit & 1);
  const auto length = static_cast<int>(circle.size());
  std::vector<uint32_t> states;
  for (int step = 1; step <= kTrellisTile; ++step) {
    uint32_t state = 0;
    for (int back = rule.state_bits; back > 0; --back)
      state =
          state << 1 | static_cast<uint32_t>(circle[(step * rule.bits - back + length) % length]);
    states.push_back(state);
  }
  return states;
}

TEST(Trellis, DecodesTheLastBitsOfACircle) {
  for (const int bits : {1, 2, 3, 4})
    for (const int state_bits : {8, 9, 11, 12, 16}) {
      const Trellis trellis("mcg", bits, state_bits);
      std::mt19937 random(5);
      Codes codes;
      for (uint8_t& code : codes) code = static_cast<uint8_t>(random() % (1U << bits));
      Tile values;
      decode_trellis(trellis.rule, codes.data(), values.data());
      const std::vector<uint32_t> states = states_of(trellis.rule, codes);
      for (int i = 0; i < kTrellisTile; ++i)
        ASSERT_EQ(values[i], trellis.values[states[i]]) << bits << " " << state_bits << " " << i;
    }
}

TEST(Trellis, EveryInstructionSetFindsTheSameCodes) {
  for (const int bits : {1, 2, 3, 4})
    for (const int state_bits : {8, 9, 10, 12}) {
      const Trellis trellis("3inst", bits, state_bits);
      const Tile x = gaussian(7), weights = uneven(8);
      const Codes portable = encode(trellis.rule, x, weights, InstructionSet::kPortable);
      for (const uint8_t code : portable) ASSERT_LT(code, 1 << bits);
      for (const InstructionSet set : available_instruction_sets())
        EXPECT_EQ(encode(trellis.rule, x, weights, set), portable)
            << name_of(set) << " " << bits << " bits, states of " << state_bits;
    }
}

// All codes of the last steps, after those that are given: none may cost less.
TEST(Trellis, NoOtherEndCostsLess) {
  constexpr int kTail = 6, kBits = 2;
  const Trellis trellis("1mad", kBits, 8);
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const Tile x = gaussian(seed), weights = uneven(seed + 100);
    const Codes found = encode(trellis.rule, x, weights);
    const double least = cost_of(trellis.rule, x, weights, found);
    // a window anywhere in the circle, its start included
    for (const int first : {0, 100, kTrellisTile - kTail / 2}) {
      Codes other = found;
      for (int all = 0; all < 1 << (kTail * kBits); ++all) {
        for (int i = 0; i < kTail; ++i)
          other[(first + i) % kTrellisTile] = static_cast<uint8_t>(all >> (i * kBits) & 3);
        if (first != 100) {  // the class at the start is fixed: its bits stay
          const bool same_class = std::equal(other.end() - 3, other.end(), found.end() - 3);
          if (!same_class) continue;
        }
        ASSERT_GE(cost_of(trellis.rule, x, weights, other), least * (1 - kClose)) << first;
      }
    }
  }
}

// With the whole circle's best known by trying every class of states, two passes come close.
TEST(Trellis, TwoPassesComeCloseToTheBestCircle) {
  constexpr int kTiles = 40;
  const Trellis trellis("1mad", 2, 8);
  double ours = 0, best = 0;
  for (uint64_t seed = 1; seed <= kTiles; ++seed) {
    const Tile x = gaussian(seed);
    ours += cost_of(trellis.rule, x, even(), encode(trellis.rule, x, even()));
    double least = 1e30;
    for (int start = 0; start < 64; ++start) {
      std::vector<double> costs(256, 1e30), next(256);
      for (int step = 0; step < kTrellisTile; ++step) {
        for (int state = 0; state < 256; ++state) {
          double before = step == 0 && state >> 2 == start ? 0 : 1e30;
          for (int j = 0; step > 0 && j < 4; ++j)
            before = std::min(before, costs[state >> 2 | j << 6]);
          const double off = double{x[step]} - trellis.values[state];
          next[state] = before + off * off;
        }
        costs.swap(next);
      }
      for (int j = 0; j < 4; ++j) least = std::min(least, costs[start | j << 6]);
    }
    best += least;
  }
  EXPECT_GE(ours, best * (1 - kClose));
  EXPECT_LE(ours, best * 1.005);
}

struct Rate {
  int state_bits;
  double error;  // of a unit Gaussian at 2 bits, with values drawn from one
  int tiles;
};

// Mean squared error of Gaussian numbers, at the best of some scales.
double distortion(const Trellis& trellis, int tiles) {
  double least = 1e30;
  for (const double factor : {1.0, 1.05}) {
    const double scale = factor / trellis.root_mean_square();
    double sum = 0;
    for (int tile = 0; tile < tiles; ++tile) {
      Tile x = gaussian(1000 + static_cast<uint64_t>(tile));
      double squares = 0;
      for (const float each : x) squares += double{each} * each;
      // a tile of just the variance: few of them tell enough
      const double unit = std::sqrt(kTrellisTile / squares);
      for (float& each : x) each = static_cast<float>(each * unit / scale);
      sum += cost_of(trellis.rule, x, even(), encode(trellis.rule, x, even())) * scale * scale;
    }
    least = std::min(least, sum / tiles / kTrellisTile);
  }
  return least;
}

// Short states want values that are spread evenly, which the sum of bytes gives.
TEST(Trellis, ReachesTheKnownRatesOnAGaussianSource) {
  for (const Rate& rate : {Rate{8, 0.0875, 200}, Rate{10, 0.0790, 120}, Rate{12, 0.0737, 60}}) {
    double best = 1e30;
    for (const char* code : {"3inst", "1mad", "mcg"}) {
      const double error = distortion(Trellis(code, 2, rate.state_bits), rate.tiles);
      best = std::min(best, error);
      RecordProperty(code + std::to_string(rate.state_bits), std::to_string(error));
      EXPECT_LT(error, rate.error * (rate.state_bits == 8 ? 1.06 : 1.03)) << code;
    }
    EXPECT_LT(best, rate.error * 1.02) << rate.state_bits;
  }
}

TEST(Trellis, ReachesTheKnownRatesOfLongStates) {
  for (const Rate& rate : {Rate{14, 0.0703, 16}, Rate{16, 0.0683, 6}})
    EXPECT_LT(distortion(Trellis("mcg", 2, rate.state_bits), rate.tiles), rate.error * 1.02)
        << rate.state_bits;
}

TEST(Trellis, AnErrorFallsByTheBitsOfACode) {
  double last = 1;
  for (const int bits : {1, 2, 3, 4}) {
    const double error = distortion(Trellis("3inst", bits, 12), 20);
    EXPECT_LT(error, std::pow(4.0, -bits) * 1.45) << bits;  // the bound of the rate, and a margin
    EXPECT_LT(error, last / 3);
    last = error;
  }
}

TEST(Trellis, ExtremeWeightsAreFinite) {
  const Trellis trellis("3inst", 2, 10);
  Tile x{}, weights = even();
  x[0] = 1e6F;
  x[17] = -1e6F;
  weights[3] = 1e-6F;
  weights[200] = 1e6F;
  for (const InstructionSet set : available_instruction_sets())
    EXPECT_EQ(encode(trellis.rule, x, weights, set),
              encode(trellis.rule, x, weights, InstructionSet::kPortable));
}

// A Hadamard matrix by its definition.
TEST(HadamardLanes, MultiplyByTheMatrix) {
  constexpr int kCore = 3, kPower = 4;  // any core of signs will do
  const int8_t signs[kCore * kCore] = {1, -1, 1, 1, 1, -1, -1, 1, 1};
  const HadamardRule rule{kCore, kPower, signs, 0.5};
  std::mt19937 random(2);
  std::normal_distribution<float> draw;
  std::vector<float> tile(kCore * kPower * kLanes);
  for (float& each : tile) each = draw(random);
  std::vector<float> portable;
  for (const InstructionSet set : available_instruction_sets()) {
    std::vector<float> result = tile, scratch(tile.size());
    lane_kernels<float>(set).hadamard(rule, result.data(), scratch.data());
    if (portable.empty()) portable = result;
    EXPECT_EQ(result, portable) << name_of(set);
    for (int column = 0; column < kCore * kPower; ++column)
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        double sum = 0;
        for (int row = 0; row < kCore * kPower; ++row) {
          const int both = row % kPower & column % kPower;
          const double sign =
              (both == 1 || both == 2 ? -1 : 1) * signs[row / kPower * kCore + column / kPower];
          sum += sign * tile[row * kLanes + lane];
        }
        EXPECT_NEAR(result[column * kLanes + lane], sum * rule.scale, 1e-5);
      }
  }
}

}  // namespace
}  // namespace halftone
