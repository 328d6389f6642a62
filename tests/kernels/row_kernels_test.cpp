// Every instruction set of this build and processor against plain loops in double precision.
#include "kernels/row_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace halftone {
namespace {

constexpr double kFloat = 1e-6, kBFloat16 = 1.0 / 256;  // relative; one unit in the last place

double value(float x) {
  return x;
}
double value(BFloat16Bits x) {
  const uint32_t raw = static_cast<uint32_t>(x.bits) << 16;
  float result = 0;
  std::memcpy(&result, &raw, sizeof result);
  return result;
}
void assign(float& to, double from) {
  to = static_cast<float>(from);
}
void assign(BFloat16Bits& to, double from) {  // truncated: any bfloat16 will do as an input
  const auto narrow = static_cast<float>(from);
  uint32_t raw = 0;
  std::memcpy(&raw, &narrow, sizeof raw);
  to.bits = static_cast<uint16_t>(raw >> 16);
}

template <class T>
std::vector<T> normal(int64_t count, uint64_t seed, double scale = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(0, scale);
  std::vector<T> values(static_cast<size_t>(count));
  for (T& each : values) assign(each, draw(random));
  return values;
}

template <class T>
class RowKernelsOf : public testing::Test {
 protected:
  static constexpr double tolerance = std::is_same_v<T, float> ? kFloat : kBFloat16;
  static void expect_near(T actual, double expected, double magnitude) {
    EXPECT_NEAR(value(actual), expected, tolerance * (std::abs(expected) + magnitude));
  }
};
using Types = testing::Types<float, BFloat16Bits>;
TYPED_TEST_SUITE(RowKernelsOf, Types);

TYPED_TEST(RowKernelsOf, NormalizeLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t width : {1, 7, 64, 100, 576}) {
      const int64_t rows = 3;
      const auto offset = static_cast<float>(width % 2);  // of the weight: 0 and 1
      const auto x = normal<T>(rows * width, 1, 3), weight = normal<T>(width, 2);
      std::vector<T> out(x.size());
      row_kernels<T>(set).rms_norm(rows, width, x.data(), weight.data(), offset, 1e-5F, out.data());
      for (int64_t row = 0; row < rows; ++row) {
        double squares = 0;
        for (int64_t i = 0; i < width; ++i) squares += std::pow(value(x[row * width + i]), 2);
        const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
        for (int64_t i = 0; i < width; ++i) {
          const double expected = value(x[row * width + i]) * scale * (value(weight[i]) + offset);
          this->expect_near(out[row * width + i], expected, std::abs(expected));
        }
      }
    }
}

TYPED_TEST(RowKernelsOf, RotateLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t dim : {2, 8, 30, 64, 128}) {
      const int64_t heads = 3, stride = dim + 5, half = dim / 2;
      const auto x = normal<T>(heads * dim, 3), cosine = normal<T>(dim, 4),
                 sine = normal<T>(dim, 5);
      std::vector<T> out(heads * stride);
      row_kernels<T>(set).rotate(heads, dim, x.data(), dim, cosine.data(), sine.data(), stride,
                                 out.data());
      for (int64_t head = 0; head < heads; ++head)
        for (int64_t i = 0; i < dim; ++i) {
          const double own = value(x[head * dim + i]) * value(cosine[i]);
          const double other =
              value(x[head * dim + (i + half) % dim]) * value(sine[i]) * (i < half ? -1 : 1);
          this->expect_near(out[head * stride + i], own + other, std::abs(own) + std::abs(other));
        }
    }
}

TYPED_TEST(RowKernelsOf, GateLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 15, 64, 1001}) {
      auto gate = normal<T>(count, 6, 8);
      const auto up = normal<T>(count, 7);
      assign(gate[0], -200);  // beyond what exp can hold
      std::vector<T> out(gate.size());
      row_kernels<T>(set).gated_silu(count, gate.data(), up.data(), out.data());
      for (int64_t i = 0; i < count; ++i) {
        const double g = value(gate[i]);
        const double expected = g / (1 + std::exp(-g)) * value(up[i]);
        this->expect_near(out[i], expected, std::abs(expected) + 1e-20);
      }
    }
}

TYPED_TEST(RowKernelsOf, PullNormGradientsBackLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t width : {1, 7, 64, 100, 576}) {
      const int64_t rows = 3;
      const auto offset = static_cast<float>(width % 2);  // of the weight: 0 and 1
      const auto x = normal<T>(rows * width, 1, 3), weight = normal<T>(width, 2),
                 gradient = normal<T>(rows * width, 12);
      std::vector<T> out(x.size());
      row_kernels<T>(set).rms_norm_gradient(rows, width, x.data(), weight.data(), offset, 1e-5F,
                                            gradient.data(), out.data());
      for (int64_t row = 0; row < rows; ++row) {
        const auto at = [&](const std::vector<T>& of, int64_t i) {
          return value(of[row * width + i]);
        };
        double squares = 0, product = 0, magnitude = 0;
        for (int64_t i = 0; i < width; ++i) {
          squares += std::pow(at(x, i), 2);
          product += at(x, i) * (value(weight[i]) + offset) * at(gradient, i);
          magnitude += std::abs(at(x, i) * (value(weight[i]) + offset) * at(gradient, i));
        }
        const auto size = static_cast<double>(width);
        const double scale = 1 / std::sqrt(squares / size + 1e-5);
        for (int64_t i = 0; i < width; ++i) {  // by every input through its own term and the mean
          const double own = (value(weight[i]) + offset) * at(gradient, i) * scale;
          const double along = at(x, i) * std::pow(scale, 3) / size;
          this->expect_near(out[row * width + i], own - along * product,
                            std::abs(own) + std::abs(along) * magnitude);
        }
      }
    }
}

TYPED_TEST(RowKernelsOf, PullGateGradientsBackLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 15, 64, 1001}) {
      auto gate = normal<T>(count, 6, 8);
      const auto up = normal<T>(count, 7), gradient = normal<T>(count, 13);
      assign(gate[0], -200);  // beyond what exp can hold
      std::vector<T> at_gate(gate.size()), at_up(gate.size());
      row_kernels<T>(set).gated_silu_gradient(count, gate.data(), up.data(), gradient.data(),
                                              at_gate.data(), at_up.data());
      for (int64_t i = 0; i < count; ++i) {
        const double g = value(gate[i]), dy = value(gradient[i]);
        const double s = 1 / (1 + std::exp(-g));
        const double slope = s + g * s * (1 - s), expected = dy * value(up[i]) * slope;
        const double parts = std::abs(dy * value(up[i])) * (s + std::abs(g * s * (1 - s)));
        this->expect_near(at_gate[i], expected, parts + 1e-20);
        this->expect_near(at_up[i], dy * g * s, std::abs(dy * g * s) + 1e-20);
      }
    }
}

TYPED_TEST(RowKernelsOf, SummarizeLogitsLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 9, 64, 512, 5000}) {
      auto q = normal<T>(count, 10, 4);
      const auto p = normal<T>(count, 11, 4);
      q[count / 2] = q[count - 1];  // the greatest may come twice
      const RowKernels<T> kernels = row_kernels<T>(set);
      const auto slow_sum = [](const std::vector<T>& logits) {
        double sum = 0;
        for (const T& each : logits) sum += std::exp(value(each));
        return std::log(sum);
      };
      const LogitSummary of_p = kernels.summarize(count, p.data()),
                         of_q = kernels.summarize(count, q.data());
      EXPECT_NEAR(of_p.log_sum, slow_sum(p), 1e-6);
      EXPECT_NEAR(of_q.log_sum, slow_sum(q), 1e-6);
      const auto greater = [](const T& a, const T& b) { return value(a) < value(b); };
      EXPECT_EQ(of_q.greatest, std::max_element(q.begin(), q.end(), greater) - q.begin());
      double expected = 0;
      for (int64_t i = 0; i < count; ++i) {
        const double log_p = value(p[i]) - slow_sum(p), log_q = value(q[i]) - slow_sum(q);
        expected += std::exp(log_p) * (log_p - log_q);
      }
      EXPECT_NEAR(kernels.divergence(count, p.data(), of_p.log_sum, q.data(), of_q.log_sum),
                  expected, 2e-6 * (1 + expected));
      EXPECT_EQ(kernels.divergence(count, p.data(), of_p.log_sum, p.data(), of_p.log_sum), 0);
    }
}

TYPED_TEST(RowKernelsOf, FindTheFirstOfEqualGreatestLogits) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 9, 64, 100})
      for (int64_t at = 0; at < count; ++at) {
        std::vector<T> logits(count);
        for (int64_t i = 0; i < count; ++i) assign(logits[i], i < at ? -1 : 2);
        EXPECT_EQ(row_kernels<T>(set).summarize(count, logits.data()).greatest, at);
      }
}

TYPED_TEST(RowKernelsOf, DifferentiateCrossEntropyLikePlainLoopsAlsoInPlace) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 9, 64, 5000}) {
      auto logits = normal<T>(count, 14, 4);
      const int64_t label = count / 3;
      double sum = 0;
      for (const T& each : logits) sum += std::exp(value(each));
      std::vector<T> out(logits.size());
      const RowKernels<T> kernels = row_kernels<T>(set);
      const double loss = kernels.cross_entropy(count, logits.data(), label, out.data());
      EXPECT_NEAR(loss, std::log(sum) - value(logits[label]), 1e-6);
      for (int64_t i = 0; i < count; ++i) {
        const double p = std::exp(value(logits[i])) / sum;
        this->expect_near(out[i], p - (i == label ? 1 : 0), p + (i == label ? 1 : 0) + 1e-20);
      }
      EXPECT_EQ(kernels.cross_entropy(count, logits.data(), label, logits.data()), loss);
      EXPECT_EQ(std::memcmp(logits.data(), out.data(), count * sizeof(T)), 0);
    }
}

TYPED_TEST(RowKernelsOf, ScaleAndSumSquaresLikePlainLoops) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 15, 64, 1001}) {
      const auto x = normal<T>(count, 15, 3);
      std::vector<T> out(x.size());
      std::vector<float> sums(x.size(), 2);
      row_kernels<T>(set).scale(count, x.data(), 0.3F, out.data());
      const float total = row_kernels<T>(set).add_squares(count, x.data(), 0.5F, sums.data());
      double expected = 0;
      for (int64_t i = 0; i < count; ++i) {
        const double own = value(x[i]), square = own * own;
        this->expect_near(out[i], own * double{0.3F}, std::abs(own));
        EXPECT_NEAR(sums[i], 2 + 0.5 * square, kFloat * (2 + square));
        expected += square;
      }
      EXPECT_NEAR(total, expected, kFloat * 4 * expected);
      EXPECT_EQ(row_kernels<T>(set).add_squares(count, x.data(), 0, nullptr), total);
    }
}

TYPED_TEST(RowKernelsOf, SplitIntoTwoBFloat16NumbersOfSeventeenBits) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets())
    for (const int64_t count : {1, 15, 64, 1001}) {
      const auto x = normal<T>(count, 16, 3);
      std::vector<BFloat16Bits> high(x.size()), low(x.size());
      const bool more = row_kernels<T>(set).split(count, x.data(), -2, high.data(), low.data());
      EXPECT_EQ(more, (std::is_same_v<T, float>));
      for (int64_t i = 0; i < count; ++i) {
        const double own = -2 * value(x[i]);
        EXPECT_NEAR(value(high[i]), own, std::ldexp(std::abs(own), -8)) << i;
        EXPECT_NEAR(value(high[i]) + value(low[i]), own, std::ldexp(std::abs(own), -17)) << i;
      }
    }
}

TYPED_TEST(RowKernelsOf, PassNaNOn) {
  using T = TypeParam;
  for (const InstructionSet set : available_instruction_sets()) {
    auto gate = normal<T>(40, 8);
    const auto up = normal<T>(40, 9);
    assign(gate[21], std::numeric_limits<double>::quiet_NaN());
    std::vector<T> out(40);
    row_kernels<T>(set).gated_silu(40, gate.data(), up.data(), out.data());
    for (int i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(value(out[i])), i == 21) << i;
    row_kernels<T>(set).rms_norm(1, 40, gate.data(), up.data(), 0, 1e-5F, out.data());
    EXPECT_TRUE(std::isnan(value(out[0])));
    EXPECT_TRUE(std::isnan(row_kernels<T>(set).summarize(40, gate.data()).log_sum));
    EXPECT_TRUE(std::isnan(row_kernels<T>(set).cross_entropy(40, gate.data(), 3, out.data())));
    std::swap(gate[21], gate[39]);
    EXPECT_TRUE(std::isnan(row_kernels<T>(set).summarize(40, gate.data()).log_sum));
  }
}

TEST(RowKernels, RoundBFloat16HalfToEven) {
  // (1 + 2^-7) * 1.5 = 1.51171875 lies between 1.5078125 and 1.515625: a tie
  const BFloat16Bits one{0x3f80}, more{0x3f81}, half_more{0x3fc0}, zero{0};
  for (const InstructionSet set : available_instruction_sets()) {
    const BFloat16Bits x[2] = {more, zero}, cosine[2] = {half_more, one}, sine[2] = {zero, zero};
    BFloat16Bits out[2];
    row_kernels<BFloat16Bits>(set).rotate(1, 2, x, 2, cosine, sine, 2, out);
    EXPECT_EQ(out[0].bits, 0x3fc2);
  }
}

}  // namespace
}  // namespace halftone
