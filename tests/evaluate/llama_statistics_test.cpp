#include "evaluate/llama_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace halftone {
namespace {

// Three tokens: nll 1, 2, 3 of the model and 1, 1, 4 of its base.
Scores three_tokens() {
  Scores scores;
  scores.windows = 1;
  scores.positions = 3;
  scores.nll = {1, 2, 3};
  scores.reference_nll = {1, 1, 4};
  scores.kl = {0.1, 0.3, 0.2};
  scores.same_top = {1, 0, 1};
  return scores;
}

TEST(LlamaStatistics, ErrorsAreThoseOfIndependentTokens) {
  const LlamaStatistics statistics = llama_statistics(three_tokens());
  EXPECT_NEAR(statistics.kl.mean.value, 0.2, 1e-12);
  EXPECT_NEAR(statistics.kl.mean.error, 0.1 / std::sqrt(3), 1e-12);  // sample deviation 0.1
  EXPECT_NEAR(statistics.perplexity.value, std::exp(2), 1e-12);
  EXPECT_NEAR(statistics.perplexity.error, std::exp(2) / std::sqrt(3), 1e-12);
  EXPECT_NEAR(statistics.same_top.value, 2.0 / 3, 1e-12);
  EXPECT_NEAR(statistics.same_top.error, 1.0 / 3, 1e-12);  // sqrt(2/9 / 2)
}

TEST(LlamaStatistics, ARatioHasTheErrorOfTheTokensDifferences) {
  // by the definition of a covariance: the differences 0, 1, -1 have a sample deviation of 1
  const LlamaStatistics statistics = llama_statistics(three_tokens());
  EXPECT_NEAR(statistics.log_ratio.value, 0, 1e-12);
  EXPECT_NEAR(statistics.log_ratio.error, 1 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(statistics.ratio.error, 1 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(statistics.correlation, 3 / std::sqrt(12.0), 1e-12);  // sums 3, 2 and 6
}

TEST(LlamaStatistics, ChangesOfProbabilityAreModelLessBase) {
  const LlamaStatistics statistics = llama_statistics(three_tokens());
  const double second = std::exp(-2) - std::exp(-1), third = std::exp(-3) - std::exp(-4);
  EXPECT_NEAR(statistics.change.mean.value, (second + third) / 3, 1e-12);
  EXPECT_NEAR(statistics.change.quantile(0), second, 1e-12);
  EXPECT_NEAR(statistics.change.quantile(1), third, 1e-12);
  EXPECT_NEAR(statistics.change_rms.value, std::sqrt((second * second + third * third) / 3), 1e-12);
}

TEST(LlamaStatistics, OneScoreThatIsNoNumberLeavesNoQuantiles) {
  Scores scores = three_tokens();
  scores.kl[1] = NAN;
  const LlamaStatistics statistics = llama_statistics(scores);
  for (const double p : {0.0, 0.5, 1.0}) EXPECT_TRUE(std::isnan(statistics.kl.quantile(p)));
  EXPECT_FALSE(std::isnan(statistics.change.quantile(0.5)));
}

TEST(LlamaStatistics, QuantilesAreInterpolated) {
  const TokenDistribution distribution{{}, {1, 2, 4}};
  EXPECT_DOUBLE_EQ(distribution.quantile(0.25), 1.5);
  EXPECT_DOUBLE_EQ(distribution.quantile(0.75), 3);
  EXPECT_DOUBLE_EQ(distribution.quantile(1), 4);
}

}  // namespace
}  // namespace halftone
