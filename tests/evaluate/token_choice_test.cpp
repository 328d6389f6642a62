#include "evaluate/token_choice.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace halftone {
namespace {

constexpr int kDraws = 4000;
constexpr double kTolerance = 0.03;  // four deviations of a share of so many draws

// Of logits whose probabilities are 0.5, 0.3, 0.15 and 0.05, in another order.
at::Tensor four_logits() {
  return at::tensor({0.15, 0.5, 0.05, 0.3}, at::kDouble).log().to(at::kFloat);
}

std::map<TokenId, double> shares(const Sampling& sampling) {
  TokenChooser chooser(sampling);
  std::map<TokenId, double> found;
  for (int i = 0; i < kDraws; ++i) found[chooser.choose(four_logits()).value()] += 1.0 / kDraws;
  return found;
}

TEST(TokenChooser, WithoutTemperatureTakesTheLikeliest) {
  TokenChooser chooser(Sampling{});
  EXPECT_EQ(chooser.choose(four_logits()), 1);
  EXPECT_EQ(chooser.choose(at::tensor({1.0f, 3.0f, 3.0f})), 1);  // of equals the first
}

TEST(TokenChooser, DrawsByProbability) {
  const auto found = shares({.temperature = 1});
  EXPECT_NEAR(found.at(1), 0.5, kTolerance);
  EXPECT_NEAR(found.at(3), 0.3, kTolerance);
  EXPECT_NEAR(found.at(0), 0.15, kTolerance);
  EXPECT_NEAR(found.at(2), 0.05, kTolerance);
}

TEST(TokenChooser, ALowTemperatureFavoursTheLikeliest) {
  const auto found = shares({.temperature = 0.5});  // squares of probabilities
  EXPECT_NEAR(found.at(1), 0.25 / 0.365, kTolerance);
  EXPECT_NEAR(found.at(3), 0.09 / 0.365, kTolerance);
}

TEST(TokenChooser, TopPKeepsTheFewestThatAreSoProbableTogether) {
  const auto found = shares({.temperature = 1, .top_p = 0.75});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NEAR(found.at(1), 0.5 / 0.8, kTolerance);
  EXPECT_NEAR(found.at(3), 0.3 / 0.8, kTolerance);
  EXPECT_EQ(shares({.temperature = 1, .top_p = 0.85}).size(), 3u);
  EXPECT_EQ(shares({.temperature = 1, .top_p = 0}).size(), 1u);
}

TEST(TokenChooser, TheSameSeedDrawsTheSame) {
  const auto draws = [](uint64_t seed) {
    TokenChooser chooser({.temperature = 1, .seed = seed});
    std::vector<TokenId> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(chooser.choose(four_logits()).value());
    return ids;
  };
  EXPECT_EQ(draws(7), draws(7));
  EXPECT_NE(draws(7), draws(8));
}

TEST(TokenChooser, RefusesLogitsThatAreNoNumbers) {
  TokenChooser chooser({.temperature = 1});
  EXPECT_FALSE(chooser.choose(at::tensor({1.0f, std::nanf(""), 2.0f})));
  EXPECT_FALSE(chooser.choose(at::tensor({1.0f, std::numeric_limits<float>::infinity()})));
  EXPECT_FALSE(chooser.choose(at::full({3}, -std::numeric_limits<float>::infinity())));
}

}  // namespace
}  // namespace halftone
