// The search for the numbers of a super-block on every instruction set against plain loops in
// double precision, and what it leaves of real weights beside the stock quantizer's blocks.
#include "kernels/super_block_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <vector>

#include "golden_tensors.h"
#include "kernels/gguf_blocks.h"
#include "kernels/gguf_codebooks.h"
#include "kernels/lane_kernels.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::golden_tensors;

constexpr SuperBlockRule kAffine2{.groups = 16,
                                  .columns = 16,
                                  .least = 0,
                                  .top = 3,
                                  .least_scale = 0,
                                  .top_scale = 15,
                                  .top_offset = 15};
constexpr SuperBlockRule kSigned3{.groups = 16,
                                  .columns = 16,
                                  .least = -4,
                                  .top = 3,
                                  .least_scale = -32,
                                  .top_scale = 31,
                                  .top_offset = 0};
constexpr SuperBlockRule kAffine4{};
constexpr SuperBlockRule kAffine5{.top = 31};
constexpr SuperBlockRule kSigned6{.groups = 16,
                                  .columns = 16,
                                  .least = -32,
                                  .top = 31,
                                  .least_scale = -128,
                                  .top_scale = 127,
                                  .top_offset = 0};

constexpr SuperBlockRule kUneven4{.least = -127,
                                  .top = 113,
                                  .levels = kIq4Levels.data(),
                                  .least_scale = -32,
                                  .top_scale = 31,
                                  .top_offset = 0,
                                  .apart = 1.6};
// One of the eight blocks of 32 columns.
constexpr SuperBlockRule kUnevenAlone{.groups = 1,
                                      .least = -127,
                                      .top = 113,
                                      .levels = kIq4Levels.data(),
                                      .least_scale = 1,
                                      .top_scale = 1,
                                      .top_offset = 0,
                                      .apart = 1.6};
// Blocks of one group, of few levels.
constexpr SuperBlockRule kTernary{.groups = 1,
                                  .columns = 256,
                                  .least = -1,
                                  .top = 1,
                                  .least_scale = 1,
                                  .top_scale = 1,
                                  .top_offset = 0,
                                  .apart = 0.2};
constexpr SuperBlockRule kSigns{.groups = 1,
                                .columns = 128,
                                .least = -1,
                                .top = 1,
                                .levels = kSignLevels.data(),
                                .level_count = 2,
                                .least_scale = 1,
                                .top_scale = 1,
                                .top_offset = 0,
                                .apart = 0.2};
constexpr SuperBlockRule kE2m1{.groups = 1,
                               .columns = 32,
                               .least = -12,
                               .top = 12,
                               .levels = kE2m1Ascending.data(),
                               .level_count = 15,
                               .least_scale = 1,
                               .top_scale = 1,
                               .top_offset = 0,
                               .apart = 0.6,
                               .step = StepKind::kPowerOfTwo};
constexpr SuperBlockRule kE2m1Of16{.groups = 1,
                                   .columns = 16,
                                   .least = -12,
                                   .top = 12,
                                   .levels = kE2m1Ascending.data(),
                                   .level_count = 15,
                                   .least_scale = 1,
                                   .top_scale = 1,
                                   .top_offset = 0,
                                   .apart = 0.6,
                                   .step = StepKind::kUe4m3};

constexpr double kClose = 1e-3;  // relative, of errors in float32

struct Named {
  const char* type;
  SuperBlockRule rule;
};
const std::vector<Named> kRules = {
    {"Q2_K", kAffine2},  {"Q3_K", kSigned3},   {"Q4_K", kAffine4},       {"Q5_K", kAffine5},
    {"Q6_K", kSigned6},  {"IQ4_XS", kUneven4}, {"IQ4_NL", kUnevenAlone}, {"TQ1_0", kTernary},
    {"TQ2_0", kTernary}, {"Q1_0", kSigns},     {"MXFP4", kE2m1},         {"NVFP4", kE2m1Of16}};

// Half to even; eleven bits down to 2^-14, steps of 2^-24 below.
double nearest_float16(double x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  const int last = std::max(exponent, -13) - 11;
  return std::ldexp(std::nearbyint(std::ldexp(x, -last)), last);
}

// Every scale that a block of NVFP4 may have, beside the one of its tensor, ascending.
std::vector<double> numbers_of_ue4m3() {
  std::vector<double> numbers;
  for (int code = 1; code < 0x7f; ++code) {
    const int exponent = code >> 3, mantissa = code & 7;
    const double number =
        exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    numbers.push_back(number * 0x1p-9);
  }
  return numbers;
}

double nearest_step(StepKind kind, double x) {
  if (kind == StepKind::kFloat16) return nearest_float16(x);
  std::vector<double> numbers;
  if (kind == StepKind::kUe4m3) numbers = numbers_of_ue4m3();
  if (kind == StepKind::kPowerOfTwo)
    for (int exponent = -24; exponent <= 15; ++exponent)
      numbers.push_back(std::ldexp(1.0, exponent));
  return *std::min_element(numbers.begin(), numbers.end(), [&](double a, double b) {
    return std::abs(a - std::abs(x)) < std::abs(b - std::abs(x));
  });
}

// One row in plain loops (methods.md 4.3).
class Reference {
 public:
  Reference(const SuperBlockRule& rule, std::vector<double> weights, std::vector<double> importance)
      : rule_(rule), weights_(std::move(weights)), importance_(std::move(importance)) {
    start();
    for (int i = 0; i < 3; ++i) {
      move_codes();
      move_block();
      move_step();
    }
    move_codes();
  }

  double step = 0, offset = 0;
  std::vector<double> scale_codes, offset_codes;

  double error() const {
    double sum = 0;
    for (int k = 0; k < rule_.groups; ++k) sum += error_of(k, step * scale_codes[k], offset_of(k));
    return sum;
  }

 private:
  struct Grid {
    double scale, offset;
  };
  struct Sums {
    double one = 0, q = 0, qq = 0, w = 0, wq = 0;
  };

  bool affine() const { return rule_.top_offset > 0; }
  double offset_of(int k) const { return affine() ? offset * offset_codes[k] : 0; }

  static double ratio(double a, double b) { return b > 0 ? a / b : 0; }
  static double inverse(double x) { return x == 0 ? 0 : 1 / x; }

  void each(int k, auto&& take) const {
    for (int j = 0; j < rule_.columns; ++j)
      take(weights_[k * rule_.columns + j], importance_[k * rule_.columns + j]);
  }
  double code(double number, double low, double high) const {
    return std::nearbyint(std::clamp(number, low, high));
  }
  // The code, or its level.
  double nearest(double x) const {
    if (rule_.levels == nullptr) return code(x, rule_.least, rule_.top);
    return *std::min_element(rule_.levels, rule_.levels + rule_.level_count,
                             [&](double a, double b) { return std::abs(a - x) < std::abs(b - x); });
  }
  double code_of(double w, Grid grid) const {
    return nearest((w + grid.offset) * inverse(grid.scale));
  }
  double error_of(int k, double scale, double shift) const {
    double sum = 0;
    each(k, [&](double w, double importance) {
      const double miss = code_of(w, {scale, shift}) * scale - shift - w;
      sum += importance * (miss * miss);
    });
    return sum;
  }
  template <class Code>
  Sums sums(int k, Code&& code_for) const {
    Sums s;
    each(k, [&](double w, double importance) {
      const double q = code_for(w);
      s.one += importance;
      s.q += importance * q;
      s.qq += importance * (q * q);
      s.w += importance * w;
      s.wq += importance * (q * w);
    });
    return s;
  }

  Grid best_of(int k, const std::vector<Grid>& grids) const {
    size_t best = 0;
    for (size_t i = 1; i < grids.size(); ++i)
      if (error_of(k, grids[i].scale, grids[i].offset) <
          error_of(k, grids[best].scale, grids[best].offset))
        best = i;
    return grids[best];
  }

  Grid fit_affine(int k) const {
    double low = 0, high = 0;
    each(k, [&](double w, double) {
      low = std::min(low, w);
      high = std::max(high, w);
    });
    std::vector<Grid> grids = {{(high - low) / rule_.top, -low}};
    for (int i = 0; i < 50; ++i) {
      const double lowest = low * (1 - i / 10 / 4.0);
      const double per_step = (rule_.top + (-0.9 + 0.2 * (i % 10))) * inverse(high - lowest);
      const Sums s = sums(k, [&](double w) { return code((w - lowest) * per_step, 0, rule_.top); });
      const double determinant = s.one * s.qq - s.q * s.q;
      Grid grid{ratio(s.one * s.wq - s.q * s.w, determinant),
                ratio(s.q * s.wq - s.qq * s.w, determinant)};
      if (grid.offset <= 0) grid = {ratio(s.wq, s.qq), 0};
      grids.push_back(grid);
    }
    return best_of(k, grids);
  }

  Grid fit_signed(int k) const {
    double extreme = 0;
    each(k, [&](double w, double) { extreme = std::abs(w) > std::abs(extreme) ? w : extreme; });
    std::vector<Grid> grids = {{extreme / rule_.least, 0}};
    const bool two_ends = rule_.levels != nullptr && rule_.top != -rule_.least;
    for (int i = 0; i < (two_ends ? 38 : 19); ++i) {
      const double end = i < 19 ? rule_.least : rule_.top;
      const double per_step = (end - rule_.apart * (i % 19 - 9)) * inverse(extreme);
      const Sums s = sums(k, [&](double w) { return nearest(w * per_step); });
      grids.push_back({ratio(s.wq, s.qq), 0});
    }
    return best_of(k, grids);
  }

  double common_step(const std::vector<double>& numbers, const std::vector<double>& weights,
                     int low, int high, std::vector<double>& codes) const {
    double extreme = 0, best = 0, greatest = 0;
    for (const double number : numbers)
      if (std::abs(number) > std::abs(extreme)) extreme = number;
    const double most = low < 0 ? low : high;
    best = extreme / most;
    for (const double reach : {1, 2, 4, 8, 16})
      for (int i = rule_.levels ? -16 : -4; i <= (rule_.levels ? 16 : 4); ++i) {
        const double per_step = reach * (most + (rule_.levels ? 0.5 : 0.1) * i) * inverse(extreme);
        double products = 0, squares = 0;
        for (size_t k = 0; k < numbers.size(); ++k) {
          const double q = code(numbers[k] * per_step, low, high);
          products += weights[k] * (q * numbers[k]);
          squares += weights[k] * (q * q);
        }
        if (ratio(products * products, squares) > greatest) {
          greatest = ratio(products * products, squares);
          best = ratio(products, squares);
        }
      }
    best = nearest_step(rule_.step, best);
    codes.clear();
    for (const double number : numbers) codes.push_back(code(number * inverse(best), low, high));
    return best;
  }

  void start() {
    std::vector<double> scales, offsets, of_scale, of_offset;
    for (int k = 0; k < rule_.groups; ++k) {
      const Grid grid = affine() ? fit_affine(k) : fit_signed(k);
      const Sums s = sums(k, [&](double w) { return code_of(w, grid); });
      scales.push_back(grid.scale);
      offsets.push_back(grid.offset);
      of_scale.push_back(s.qq);
      of_offset.push_back(s.one);
    }
    step = common_step(scales, of_scale, rule_.least_scale, rule_.top_scale, scale_codes);
    if (affine())
      offset = common_step(offsets, of_offset, 0, rule_.top_offset, offset_codes);
    else
      offset_codes.assign(rule_.groups, 0);
  }

  void move_codes() {
    for (int k = 0; k < rule_.groups; ++k) {
      const double s0 = scale_codes[k], m0 = offset_codes[k];
      double least = error_of(k, step * s0, offset * m0);
      for (int up = -1; up <= 1; ++up)
        for (int aside = affine() ? -1 : 0; aside <= (affine() ? 1 : 0); ++aside) {
          const double s = std::clamp<double>(s0 + up, rule_.least_scale, rule_.top_scale);
          const double m = std::clamp<double>(m0 + aside, 0, rule_.top_offset);
          if (const double error = error_of(k, step * s, offset * m); error < least) {
            least = error;
            scale_codes[k] = s;
            offset_codes[k] = m;
          }
        }
    }
  }

  void move_block() {
    double xx = 0, xy = 0, yy = 0, wx = 0, wy = 0;
    for (int k = 0; k < rule_.groups; ++k) {
      const Grid grid{step * scale_codes[k], offset_of(k)};
      const Sums s = sums(k, [&](double w) { return code_of(w, grid); });
      xx += scale_codes[k] * scale_codes[k] * s.qq;
      xy += scale_codes[k] * offset_codes[k] * s.q;
      yy += offset_codes[k] * offset_codes[k] * s.one;
      wx += scale_codes[k] * s.wq;
      wy += offset_codes[k] * s.w;
    }
    const double before = error(), old_step = step, old_offset = offset;
    const double determinant = xx * yy - xy * xy;
    step = nearest_step(rule_.step,
                        determinant > 0 ? (wx * yy - xy * wy) / determinant : ratio(wx, xx));
    if (affine() && determinant > 0)
      offset = nearest_float16(std::max(0.0, (xy * wx - xx * wy) / determinant));
    if (error() < before) return;
    step = old_step;
    offset = old_offset;
  }

  void move_step() {
    if (rule_.step == StepKind::kFloat16) return;
    const double apart = rule_.step == StepKind::kPowerOfTwo ? 2 : 1.125;
    for (const double factor : {1 / apart, apart}) {
      const double before = error(), old_step = step;
      step = nearest_step(rule_.step, step * factor);
      if (!(error() < before)) step = old_step;
    }
  }

  SuperBlockRule rule_;
  std::vector<double> weights_, importance_;
};

struct Found {
  std::vector<double> step, offset, scale_codes, offset_codes;  // (16), (groups, 16)
};

template <class T>
Found fit(InstructionSet set, const SuperBlockRule& rule, const std::vector<T>& tile,
          const std::vector<T>& importance) {
  std::vector<T> scale_codes(rule.groups * kLanes), offset_codes(rule.groups * kLanes);
  std::vector<T> step(kLanes), offset(kLanes);
  lane_kernels<T>(set).super_block.fit(
      rule, tile.data(), importance.data(),
      {scale_codes.data(), offset_codes.data(), step.data(), offset.data()});
  const auto wide = [](const std::vector<T>& x) { return std::vector<double>(x.begin(), x.end()); };
  return {wide(step), wide(offset), wide(scale_codes), wide(offset_codes)};
}

// Sixteen rows of one super-block: some of normal weights, some far from 0, of one sign, of zeros.
template <class T>
std::vector<T> some_tile(std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::vector<T> tile(256 * kLanes);
  for (int64_t lane = 0; lane < kLanes; ++lane)
    for (int64_t column = 0; column < 256; ++column) {
      double w = normal(random) * (1 + column / 64);
      if (lane % 4 == 1) w = std::abs(w);
      if (lane % 4 == 2) w *= std::abs(w) * 0x1p-12;
      if (lane == 3 || (lane == 5 && column < 100)) w = 0;
      tile[column * kLanes + lane] = static_cast<T>(w * 0.02);
    }
  return tile;
}

template <class T>
std::vector<T> some_importance(std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(0.01, 1);
  std::vector<T> importance(256);
  for (T& each : importance) each = static_cast<T>(uniform(random));
  return importance;
}

std::vector<double> lane_of(const std::vector<double>& numbers, int64_t lane) {
  std::vector<double> own;
  for (size_t i = lane; i < numbers.size(); i += kLanes) own.push_back(numbers[i]);
  return own;
}

TEST(SuperBlockKernels, FindWhatPlainLoopsInDoublePrecisionFind) {
  std::mt19937 random(1);
  const auto tile = some_tile<double>(random), importance = some_importance<double>(random);
  for (const InstructionSet set : available_instruction_sets())
    for (const auto& [type, rule] : kRules) {
      const Found found = fit<double>(set, rule, tile, importance);
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        SCOPED_TRACE(::testing::Message() << type << " lane " << lane);
        const Reference expected(rule, lane_of(tile, lane), importance);
        EXPECT_EQ(found.step[lane], expected.step);
        EXPECT_EQ(lane_of(found.scale_codes, lane), expected.scale_codes);
        if (rule.top_offset == 0) continue;
        EXPECT_EQ(found.offset[lane], expected.offset);
        EXPECT_EQ(lane_of(found.offset_codes, lane), expected.offset_codes);
      }
    }
}

int64_t width_of(const SuperBlockRule& rule) {
  return int64_t{rule.groups} * rule.columns;
}

// The weighted error of what `found` says of a lane.
template <class T>
double error_of(const SuperBlockRule& rule, const Found& found, const std::vector<T>& tile,
                const std::vector<T>& importance, int64_t lane) {
  const LaneKernels<double> kernels = lane_kernels<double>();
  double sum = 0;
  for (int64_t column = 0; column < width_of(rule); ++column) {
    const int64_t group = column / rule.columns;
    double w[kLanes], scale[kLanes], offset[kLanes], value[kLanes];
    uint8_t codes[kLanes];
    std::fill_n(w, kLanes, tile[column * kLanes + lane]);
    std::fill_n(scale, kLanes, found.step[lane] * found.scale_codes[group * kLanes + lane]);
    std::fill_n(offset, kLanes, found.offset[lane] * found.offset_codes[group * kLanes + lane]);
    kernels.super_block.round(rule, w, scale, offset, codes, value);
    EXPECT_LE(codes[0], rule.top - rule.least);
    sum += importance[column] * (value[0] - w[0]) * (value[0] - w[0]);
  }
  return sum;
}

TEST(SuperBlockKernels, InFloat32LeaveTheErrorThatDoublePrecisionLeaves) {
  std::mt19937 random(2);
  const auto tile = some_tile<float>(random), importance = some_importance<float>(random);
  const std::vector<double> wide_tile(tile.begin(), tile.end());
  const std::vector<double> wide_importance(importance.begin(), importance.end());
  for (const InstructionSet set : available_instruction_sets())
    for (const auto& [type, rule] : kRules) {
      const Found found = fit<float>(set, rule, tile, importance);
      double all = 0, all_expected = 0;
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const double expected = Reference(rule, lane_of(wide_tile, lane), wide_importance).error();
        const double error = error_of(rule, found, wide_tile, wide_importance, lane);
        all += error;
        all_expected += expected;
        // between scales of either end the choice may be so close that a row ends up elsewhere
        if (rule.levels == nullptr && rule.groups > 1) {
          EXPECT_NEAR(error, expected, kClose * expected + 1e-20) << type << " lane " << lane;
        }
      }
      EXPECT_NEAR(all, all_expected, kClose * all_expected) << type;
    }
}

TEST(SuperBlockKernels, RoundToTheNearestValueOfTheGroup) {
  const double w[kLanes] = {-9, -0.6, -0.26, -0.24, 0, 0.24, 0.26, 0.6,
                            1,  9,    0.76,  0.74,  0, 0,    0,    0};
  double scale[kLanes], offset[kLanes], value[kLanes];
  std::fill_n(scale, kLanes, 0.5);
  std::fill_n(offset, kLanes, 0.5);
  scale[12] = 0;  // a group whose scale has code 0: every code means -offset
  uint8_t codes[kLanes];
  for (const InstructionSet set : available_instruction_sets()) {
    lane_kernels<double>(set).super_block.round(kAffine2, w, scale, offset, codes, value);
    EXPECT_EQ(std::vector<double>(value, value + 13),
              (std::vector<double>{-0.5, -0.5, -0.5, 0, 0, 0, 0.5, 0.5, 1, 1, 1, 0.5, -0.5}));
    EXPECT_EQ(std::vector<int>(codes, codes + 13),
              (std::vector<int>{0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0}));
  }
}

TEST(SuperBlockKernels, RoundToTheNearestLevel) {
  const double w[kLanes] = {-300, -127, -115.5, -115.4, -4.5, -4.4, 0, 7, 7.1, 101, 101.1, 500};
  const double scale[kLanes] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, offset[kLanes] = {};
  double value[kLanes];
  uint8_t codes[kLanes];
  for (const InstructionSet set : available_instruction_sets()) {
    lane_kernels<double>(set).super_block.round(kUneven4, w, scale, offset, codes, value);
    EXPECT_EQ(std::vector<double>(value, value + 12),
              (std::vector<double>{-127, -127, -127, -104, -10, 1, 1, 1, 13, 89, 113, 113}));
    EXPECT_EQ(std::vector<int>(codes, codes + 12),
              (std::vector<int>{0, 0, 0, 1, 7, 8, 8, 8, 9, 14, 15, 15}));
  }
}

TEST(SuperBlockKernels, GiveBlocksWhoseScalesAreNoFloat16OneThatTheTypeHas) {
  std::mt19937 random(3);
  auto tile = some_tile<float>(random);
  for (int64_t column = 0; column < 256; ++column) {
    tile[column * kLanes + 6] *= 1e-6F;  // below what a scale of NVFP4 reaches
    tile[column * kLanes + 7] *= 1e4F;   // beyond it
  }
  const std::vector<float> importance(256, 1);
  const std::vector<double> numbers = numbers_of_ue4m3();
  for (const InstructionSet set : available_instruction_sets()) {
    const Found found = fit<float>(set, kE2m1Of16, tile, importance);
    for (const double step : found.step)
      EXPECT_TRUE(std::binary_search(numbers.begin(), numbers.end(), step)) << step;
    int exponent = 0;
    for (const double step : fit<float>(set, kE2m1, tile, importance).step)
      EXPECT_EQ(std::frexp(step, &exponent), 0.5) << step;
    EXPECT_EQ(found.step[7], 0.875);
  }
}

// Sixteen rows in lanes, from (rows, 512): `width` columns from `first` on of rows 0 .. 7, twice.
std::vector<float> tile_of(const std::vector<float>& rows, int64_t first, int64_t width) {
  std::vector<float> tile(width * kLanes);
  for (int64_t column = 0; column < width; ++column)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      tile[column * kLanes + lane] = rows[(lane % 8) * 512 + first + column];
  return tile;
}

TEST(GoldenSuperBlocks, LeaveNoMoreErrorThanTheStockQuantizersBlocks) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/blocks/manifest.json");
  for (const auto& [type, rule] : kRules) {
    SCOPED_TRACE(type);
    const auto golden = golden_tensors(
        testing::shared_data("golden/gguf/blocks/" + std::string(type) + ".safetensors"));
    const std::vector<float> weights = golden.at("src").floats();
    for (const bool weighted : {false, true}) {
      if (weighted && !golden.contains("quant_c_importance")) continue;
      const std::vector<float> importance =
          weighted ? golden.at("importance").floats() : std::vector<float>(512, 1);
      const auto& bytes = golden.at(weighted ? "quant_c_importance" : "quant_c").bytes;
      std::vector<float> stock(weights.size());
      const GgufType& stored = *find_gguf_type(std::string_view(type));
      stored.decode(8 * 512 / stored.block_length, bytes.data(), stock.data());
      double ours = 0, theirs = 0;
      const int64_t width = width_of(rule);
      for (int64_t first = 0; first < 512; first += width) {
        const std::vector<float> own(importance.begin() + first,
                                     importance.begin() + first + width);
        const std::vector<float> tile = tile_of(weights, first, width);
        const Found found = fit<float>(best_instruction_set(), rule, tile, own);
        for (int64_t row = 0; row < 8; ++row) {
          ours += error_of(rule, found, tile, own, row);
          for (int64_t j = 0; j < width; ++j) {
            const size_t at = row * 512 + first + j;
            theirs += own[j] * std::pow(double{stock[at]} - weights[at], 2);
          }
        }
      }
      EXPECT_LE(ours, theirs) << (weighted ? "weighted" : "plain");
      RecordProperty(std::string(type) + (weighted ? "_weighted" : "_plain"),
                     std::to_string(ours / theirs));
    }
  }
}

}  // namespace
}  // namespace halftone
