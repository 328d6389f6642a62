#include "evaluate/task_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::shared_data;

TEST(Decide, TheLikeliestChoiceCountsAsAWholeAndACodePoint) {
  const std::vector<LogLikelihood> choices = {{-10}, {-12}, {-9}};
  const std::vector<int64_t> lengths = {10, 24, 6};
  EXPECT_TRUE(decide(choices, lengths, 2).correct);
  EXPECT_FALSE(decide(choices, lengths, 2).correct_normalized);
  EXPECT_TRUE(decide(choices, lengths, 1).correct_normalized);
}

TEST(Decide, OfEqualsTheFirstCounts) {
  EXPECT_TRUE(decide({{-1}, {-1}}, {1, 1}, 0).correct);
  EXPECT_FALSE(decide({{-1}, {-1}}, {1, 1}, 1).correct);
  EXPECT_TRUE(decide({{-2}, {-4}}, {1, 2}, 0).correct_normalized);
}

TEST(Decide, ASingleContinuationIsRightWhereItIsTheLikeliestText) {
  EXPECT_TRUE(decide({{-5, true}}, {4}, 0).correct);
  EXPECT_FALSE(decide({{-1, false}}, {4}, 0).correct);
}

TEST(Decide, AnEmptyChoiceIsNeverTheLikeliestACodePoint) {
  EXPECT_FALSE(decide({{-1}, {-90}}, {0, 3}, 0).correct_normalized);
}

TEST(Accuracy, HasTheErrorOfASample) {
  const Estimate estimate = accuracy({1, 0, 1, 1});
  EXPECT_DOUBLE_EQ(estimate.value, 0.75);
  EXPECT_DOUBLE_EQ(*estimate.standard_error, std::sqrt((3 * 0.0625 + 0.5625) / 3 / 4));
  EXPECT_FALSE(accuracy({1}).standard_error.has_value());
  EXPECT_EQ(accuracy(std::vector<uint8_t>(30, 1)).value, 1);  // exactly
}

TEST(Flips, AreCountedAndTestedExactly) {
  const Flips flips = count_flips({1, 1, 1, 0, 0, 1}, {0, 1, 0, 1, 0, 0});
  EXPECT_EQ(flips.right_to_wrong, 3);
  EXPECT_EQ(flips.wrong_to_right, 1);
  EXPECT_NEAR(flips.p, 2.0 * (1 + 4) / 16, 1e-12);  // at most 1 of 4 throws
  EXPECT_EQ(count_flips({1, 0}, {1, 0}).p, 1);
  EXPECT_EQ(count_flips({1, 0}, {0, 1}).p, 1);
  const std::vector<uint8_t> right(2000, 1), wrong(2000, 0);
  EXPECT_EQ(count_flips(right, wrong).p, 2 * std::pow(0.5, 2000));  // 0 in double, and no NaN
  EXPECT_NEAR(count_flips(std::vector<uint8_t>(10, 1), std::vector<uint8_t>(10, 0)).p, 2.0 / 1024,
              1e-12);
}

TEST(GoldenDecisions, EqualThoseOfTheHarness) {
  for (const char* task : {"piqa", "winogrande", "arc_easy", "arc_challenge", "hellaswag"}) {
    const std::string name = fmt::format("golden/eval/{}.jsonl", task);
    HALFTONE_REQUIRE_SHARED(name);
    std::ifstream file(shared_data(name));
    for (std::string line; std::getline(file, line);) {
      const auto golden = nlohmann::json::parse(line);
      std::vector<LogLikelihood> choices;
      for (const auto& request : golden.at("requests"))
        choices.push_back({request.at("loglikelihood").get<double>(), false});
      const Decision decision =
          decide(choices, golden.at("choice_lengths").get<std::vector<int64_t>>(),
                 golden.at("gold").get<size_t>());
      EXPECT_EQ(decision.correct, golden.at("acc") == 1.0) << line;
      if (!golden.contains("acc_norm")) continue;
      EXPECT_EQ(decision.correct_normalized, golden.at("acc_norm") == 1.0) << line;
    }
  }
}

}  // namespace
}  // namespace halftone
