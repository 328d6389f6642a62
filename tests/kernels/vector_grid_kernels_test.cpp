// The choice of points on every instruction set against a search over all points and signs in
// double precision, and the scales beside the stock quantizer's blocks.
#include "kernels/vector_grid_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "golden_tensors.h"
#include "kernels/gguf_blocks.h"
#include "kernels/lane_kernels.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::golden_tensors;

constexpr double kClose = 1e-5;  // relative, of sums in float32

const std::vector<const char*> kTypes = {"IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"};

const VectorRule& rule_of(const char* type) {
  return *find_vector_rule(type);
}

double value_of(const VectorRule& rule, uint8_t code, double scale) {
  const double size = scale * rule.magnitudes[code % kNegative];
  return code >= kNegative ? -size : size;
}

// Eight columns of one row.
struct Eight {
  std::vector<double> w, importance;
  double scale;
};

double cost_of(const VectorRule& rule, const Eight& eight, const uint8_t* codes) {
  double sum = 0;
  for (int i = 0; i < kVectorColumns; ++i) {
    const double miss = value_of(rule, codes[i], eight.scale) - eight.w[i];
    sum += eight.importance[i] * miss * miss;
  }
  return sum;
}

// Of some of the columns: the least cost over all points with an even and an odd number of minus
// signs, each point with every set of signs.
std::pair<double, double> least_costs(const VectorRule& rule, const Eight& eight, int first) {
  std::pair<double, double> least{1e300, 1e300};
  for (int point = 0; point < rule.points; ++point) {
    const uint8_t* levels = rule.levels + point * rule.dims;
    for (unsigned signs = 0; signs < 1U << rule.dims; ++signs) {
      double cost = 0;
      for (int i = 0; i < rule.dims; ++i) {
        const double size = eight.scale * rule.magnitudes[levels[i]];
        const double miss = ((signs >> i & 1) != 0 ? -size : size) - eight.w[first + i];
        cost += eight.importance[first + i] * miss * miss;
      }
      double& kind = std::popcount(signs) % 2 == 0 ? least.first : least.second;
      kind = std::min(kind, cost);
    }
  }
  return least;
}

double least_cost(const VectorRule& rule, const Eight& eight) {
  const auto [even, odd] = least_costs(rule, eight, 0);
  if (rule.dims == kVectorColumns) return rule.even ? even : std::min(even, odd);
  const auto [even2, odd2] = least_costs(rule, eight, rule.dims);
  if (!rule.even) return std::min(even, odd) + std::min(even2, odd2);
  return std::min(even + even2, odd + odd2);
}

template <class T>
void expect_best_choices(double close) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0.05, 1);
  std::vector<T> tile(kVectorColumns * kLanes), importance(kVectorColumns), scales(kLanes);
  for (T& each : tile) each = static_cast<T>(normal(random));
  for (T& each : importance) each = static_cast<T>(uniform(random));
  tile[3] = 0;
  for (const char* type : kTypes) {
    const VectorRule& rule = rule_of(type);
    const float greatest = rule.magnitudes[rule.magnitude_count - 1];
    for (T& each : scales) each = static_cast<T>(2.5 * uniform(random) / greatest);
    scales[7] = 0;
    for (const InstructionSet set : available_instruction_sets()) {
      std::vector<uint8_t> codes(tile.size());
      lane_kernels<T>(set).vector_grid.choose(rule, tile.data(), importance.data(), scales.data(),
                                              codes.data());
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        SCOPED_TRACE(::testing::Message() << type << " lane " << lane);
        Eight eight{{}, {importance.begin(), importance.end()}, double{scales[lane]}};
        std::vector<uint8_t> own;
        for (int i = 0; i < kVectorColumns; ++i) {
          eight.w.push_back(tile[i * kLanes + lane]);
          own.push_back(codes[i * kLanes + lane]);
        }
        EXPECT_TRUE(are_points(rule, own.data(), kVectorColumns));
        const double expected = least_cost(rule, eight);
        EXPECT_NEAR(cost_of(rule, eight, own.data()), expected, close * (1 + expected));
      }
    }
  }
}

TEST(VectorGridKernels, ChooseTheBestOfAllPointsAndSigns) {
  expect_best_choices<double>(1e-12);
  expect_best_choices<float>(kClose);
}

TEST(VectorGridRules, KnowTheirPointsAgain) {
  for (const char* type : kTypes) {
    const VectorRule& rule = rule_of(type);
    for (int point = 0; point < rule.points; ++point)
      EXPECT_EQ(point_of(rule, rule.levels + point * rule.dims), point) << type;
    const std::vector<uint8_t> beyond(kVectorColumns, 7);
    if (rule.magnitude_count < 8) {
      EXPECT_FALSE(are_points(rule, beyond.data(), kVectorColumns));
    }
    std::vector<uint8_t> codes;
    while (codes.size() < kVectorColumns)
      codes.insert(codes.end(), rule.levels, rule.levels + rule.dims);
    EXPECT_TRUE(are_points(rule, codes.data(), kVectorColumns));
    codes[2] |= kNegative;
    EXPECT_EQ(are_points(rule, codes.data(), kVectorColumns), !rule.even);
    codes[2] |= 2 * kNegative;
    EXPECT_FALSE(are_points(rule, codes.data(), kVectorColumns));
  }
  EXPECT_EQ(find_vector_rule("IQ1_S"), nullptr);
}

// The weighted error of rows (rows, 512) on scales that are found for each block of 16 lanes.
double error_of(const VectorRule& rule, const std::vector<float>& rows,
                const std::vector<float>& importance) {
  const auto kernels = lane_kernels<float>().vector_grid;
  double sum = 0;
  for (int64_t block = 0; block < 2; ++block) {
    std::vector<float> tile(256 * kLanes), scale_codes(rule.groups * kLanes), steps(kLanes);
    for (int64_t column = 0; column < 256; ++column)
      for (int64_t lane = 0; lane < kLanes; ++lane)
        tile[column * kLanes + lane] = rows[(lane % 8) * 512 + block * 256 + column];
    const float* own = importance.data() + block * 256;
    kernels.fit(rule, true, tile.data(), own, scale_codes.data(), steps.data());
    for (int64_t first = 0; first < 256; first += kVectorColumns) {
      float scales[kLanes];
      uint8_t codes[kVectorColumns * kLanes];
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const float code = scale_codes[first / rule.columns * kLanes + lane];
        EXPECT_TRUE(code >= 0 && code <= 15 && code == std::nearbyint(code));
        scales[lane] = steps[lane] * static_cast<float>(rule.unit) * (2 * code + 1);
      }
      kernels.choose(rule, tile.data() + first * kLanes, own + first, scales, codes);
      for (int64_t i = 0; i < kVectorColumns; ++i)
        for (int64_t lane = 0; lane < 8; ++lane)
          sum += own[first + i] * std::pow(value_of(rule, codes[i * kLanes + lane], scales[lane]) -
                                               tile[(first + i) * kLanes + lane],
                                           2);
    }
  }
  return sum;
}

TEST(GoldenVectorGrids, LeaveNoMoreErrorThanTheStockQuantizersBlocks) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/blocks/manifest.json");
  for (const char* type : kTypes) {
    const auto golden = golden_tensors(
        testing::shared_data("golden/gguf/blocks/" + std::string(type) + ".safetensors"));
    const std::vector<float> weights = golden.at("src").floats();
    const std::vector<float> importance = golden.at("importance").floats();
    std::vector<float> stock(weights.size());
    const GgufType& stored = *find_gguf_type(std::string_view(type));
    stored.decode(16, golden.at("quant_c_importance").bytes.data(), stock.data());
    double theirs = 0;
    for (size_t i = 0; i < stock.size(); ++i)
      theirs += importance[i % 512] * std::pow(double{stock[i]} - weights[i], 2);
    const double ours = error_of(rule_of(type), weights, importance);
    EXPECT_LE(ours, theirs) << type;
    RecordProperty(type, std::to_string(ours / theirs));
  }
}

}  // namespace
}  // namespace halftone
