// Choices within a budget, against trying all of them.
#include "recipe/knapsack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace halftone {
namespace {

using Items = std::vector<Choices>;

// The least loss within the budget, by looking at every combination.
double least_loss(const Items& items, double budget, size_t item = 0, Choice so_far = {}) {
  if (so_far.size > budget) return 1e300;
  if (item == items.size()) return so_far.loss;
  double best = 1e300;
  for (const Choice& choice : items[item])
    best = std::min(best, least_loss(items, budget, item + 1,
                                     {so_far.size + choice.size, so_far.loss + choice.loss}));
  return best;
}

// Whole sizes, so that sums are exact in whatever order; losses that fall about fourfold a bit.
Items random_items(std::mt19937& random, size_t count) {
  std::uniform_real_distribution<double> number(0.2, 1);
  Items items(count);
  for (Choices& choices : items) {
    const double weights = 1 + static_cast<double>(random() % 8), scale = number(random);
    for (int bits = 2; bits <= 6; ++bits)
      choices.push_back({weights * bits, scale * weights * number(random) / (1 << (2 * bits))});
    std::shuffle(choices.begin(), choices.end(), random);
  }
  return items;
}

Budget within(double size) {
  return {Budget::Of::kSize, size};
}

double loss_of(const Items& items, double budget) {
  return total(items, choose(items, within(budget))).loss;
}

TEST(Knapsack, NeverExceedsItsBudgetAndComesNearTheBestThereIs) {
  std::mt19937 random(1);
  double worst = 1, sum = 0;
  constexpr int kCases = 400;
  for (int i = 0; i < kCases; ++i) {
    const Items items = random_items(random, 2 + random() % 5);
    const double least = least_spent(items, Budget::Of::kSize);
    const double budget = least * (1 + static_cast<double>(random() % 1000) / 500);
    const Choice found = total(items, choose(items, within(budget)));
    EXPECT_LE(found.size, budget);
    const double best = least_loss(items, budget);
    EXPECT_GE(found.loss, best * (1 - 1e-12));
    worst = std::max(worst, found.loss / best);
    sum += found.loss / best;
  }
  EXPECT_LT(worst, 1.5);  // of a handful of items; a step of one of many is worth less
  EXPECT_LT(sum / kCases, 1.02);
}

TEST(Knapsack, IsExactWhereOnePriceFillsTheBudget) {
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    const Items items = random_items(random, 2 + random() % 5);
    const double price = std::exp2(-static_cast<double>(random() % 14));
    double budget = 0, loss = 0;
    for (const Choices& choices : items) {
      const auto cost = [&](const Choice& c) { return c.loss + price * c.size; };
      const Choice& cheapest =
          *std::min_element(choices.begin(), choices.end(),
                            [&](const Choice& a, const Choice& b) { return cost(a) < cost(b); });
      budget += cheapest.size;
      loss += cheapest.loss;
    }
    EXPECT_NEAR(loss_of(items, budget), loss, 1e-12 * loss);
  }
}

TEST(Knapsack, IsNoWorseThanOneChoiceForAll) {
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    Items items = random_items(random, 1 + random() % 12);
    for (Choices& choices : items)
      std::sort(choices.begin(), choices.end(),
                [](const Choice& a, const Choice& b) { return a.size < b.size; });
    for (size_t same = 0; same < items.front().size(); ++same) {
      const Choice all = total(items, std::vector<size_t>(items.size(), same));
      EXPECT_LE(loss_of(items, all.size), all.loss * (1 + 1e-12));
    }
  }
}

TEST(Knapsack, TakesTheSmallestAtTheLeastBudgetAndTheBestAtAnyLargeOne) {
  const Items items = {{{2, 8}, {3, 2}, {4, 3}}, {{1, 5}, {2, 5}}};
  EXPECT_EQ(least_spent(items, Budget::Of::kSize), 3);
  EXPECT_EQ(choose(items, within(3)), (std::vector<size_t>{0, 0}));
  EXPECT_EQ(choose(items, within(4)), (std::vector<size_t>{1, 0}));
  EXPECT_EQ(choose(items, within(1000)), (std::vector<size_t>{1, 0}));  // more buys nothing
  EXPECT_TRUE(choose({}, within(1)).empty());
}

TEST(Knapsack, IsSmallestWithinALossAsItLosesLeastWithinASize) {
  std::mt19937 random(4);
  double worst = 1;
  for (int i = 0; i < 200; ++i) {
    const Items items = random_items(random, 2 + random() % 5);
    const double least = least_spent(items, Budget::Of::kLoss);
    const double most = least * (1 + static_cast<double>(random() % 1000) / 10);
    const Choice found = total(items, choose(items, {Budget::Of::kLoss, most}));
    EXPECT_LE(found.loss, most * (1 + 1e-12));
    double best = 0;  // the smallest size at which it can be had
    while (least_loss(items, best) > most) ++best;
    EXPECT_GE(found.size, best);
    worst = std::max(worst, found.size / best);
  }
  EXPECT_LT(worst, 1.3);  // of a handful of items, as above
}

TEST(Knapsack, TakesTheSmallestOfAllAtALossThatAllKeep) {
  const Items items = {{{2, 8}, {3, 2}, {4, 3}}, {{1, 5}, {2, 5}}};
  EXPECT_EQ(least_spent(items, Budget::Of::kLoss), 7);
  EXPECT_EQ(choose(items, {Budget::Of::kLoss, 7}), (std::vector<size_t>{1, 0}));
  EXPECT_EQ(choose(items, {Budget::Of::kLoss, 13}), (std::vector<size_t>{0, 0}));
  EXPECT_EQ(choose(items, {Budget::Of::kLoss, 1000}), (std::vector<size_t>{0, 0}));
}

// The second step gains more a size and leaves no room for the first, which gains more.
TEST(Knapsack, ExchangesWhatOnePriceHasTaken) {
  EXPECT_EQ(choose({{{0, 10}, {4, 0}}, {{0, 9}, {3, 0}}}, within(4)), (std::vector<size_t>{1, 0}));
}

}  // namespace
}  // namespace halftone
