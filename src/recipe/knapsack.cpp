#include "recipe/knapsack.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

namespace halftone {
namespace {

constexpr int kMostExchanges = 10000;
constexpr double kLeastGain = 1e-12;  // share of the loss below which an exchange is rounding

// Corners of the lower convex hull of (size, loss), from the smallest to the one that loses least.
std::vector<size_t> hull(const Choices& choices) {
  std::vector<size_t> order(choices.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(choices[a].size, choices[a].loss) <
           std::pair(choices[b].size, choices[b].loss);
  });
  const auto turns_up = [&](size_t a, size_t b, size_t c) {  // b lies below the line from a to c
    return (choices[b].loss - choices[a].loss) * (choices[c].size - choices[a].size) <
           (choices[c].loss - choices[a].loss) * (choices[b].size - choices[a].size);
  };
  std::vector<size_t> corners;
  for (const size_t next : order) {
    if (!corners.empty() && choices[next].loss >= choices[corners.back()].loss) continue;
    while (corners.size() > 1 && !turns_up(corners[corners.size() - 2], corners.back(), next))
      corners.pop_back();
    corners.push_back(next);
  }
  return corners;
}

// From one corner of an item's hull to the next.
struct Step {
  size_t item, corner;
  double size, gain;
};

// Steps by what they gain a size, until the next one would be too large: every item then stands
// where one price puts it. Smaller steps that still fit follow.
std::vector<size_t> at_one_price(const std::vector<Choices>& items, double budget) {
  std::vector<std::vector<size_t>> hulls;
  std::vector<Step> steps;
  std::vector<size_t> chosen, corner(items.size(), 0);
  for (size_t item = 0; item < items.size(); ++item) {
    const std::vector<size_t>& corners = hulls.emplace_back(hull(items[item]));
    chosen.push_back(corners.front());
    for (size_t i = 1; i < corners.size(); ++i) {
      const Choice &from = items[item][corners[i - 1]], &to = items[item][corners[i]];
      steps.push_back({item, i, to.size - from.size, from.loss - to.loss});
    }
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.gain * b.size > b.gain * a.size; });
  double size = total(items, chosen).size;
  for (const Step& step : steps) {
    if (step.corner != corner[step.item] + 1 || size + step.size > budget) continue;
    corner[step.item] = step.corner;
    chosen[step.item] = hulls[step.item][step.corner];
    size += step.size;
  }
  return chosen;
}

// One item's change of choice.
struct Move {
  size_t item = 0, choice = 0;
  double size = 0, loss = 0;  // by how much these grow
};

std::vector<Move> moves_from(const std::vector<Choices>& items, const std::vector<size_t>& chosen) {
  std::vector<Move> moves;
  for (size_t item = 0; item < items.size(); ++item) {
    const Choice& now = items[item][chosen[item]];
    for (size_t choice = 0; choice < items[item].size(); ++choice)
      if (choice != chosen[item])
        moves.push_back({item, choice, items[item][choice].size - now.size,
                         items[item][choice].loss - now.loss});
  }
  std::stable_sort(moves.begin(), moves.end(),
                   [](const Move& a, const Move& b) { return a.size < b.size; });
  return moves;
}

// Of the moves up to each, by size, the two of different items that lose least.
struct BestTwo {
  const Move *first = nullptr, *second = nullptr;

  void add(const Move& move) {
    if (first == nullptr || move.loss < first->loss) {
      if (first != nullptr && first->item != move.item) second = first;
      first = &move;
    } else if (move.item != first->item && (second == nullptr || move.loss < second->loss)) {
      second = &move;
    }
  }
  const Move* apart_from(size_t item) const {
    return first != nullptr && first->item == item ? second : first;
  }
};

// The move, or the two moves of different items, that lower the loss most and fit.
std::vector<Move> best_exchange(const std::vector<Move>& moves, double room) {
  std::vector<BestTwo> best(moves.size() + 1);
  for (size_t i = 0; i < moves.size(); ++i) {
    best[i + 1] = best[i];
    best[i + 1].add(moves[i]);
  }
  const auto up_to = [&](double size) {
    const auto end = std::upper_bound(moves.begin(), moves.end(), size,
                                      [](double limit, const Move& m) { return limit < m.size; });
    return best[static_cast<size_t>(end - moves.begin())];
  };
  std::vector<Move> found;
  double least = 0;
  if (const Move* alone = up_to(room).first; alone != nullptr && alone->loss < least) {
    found = {*alone};
    least = alone->loss;
  }
  for (const Move& move : moves) {
    const Move* other = up_to(room - move.size).apart_from(move.item);
    if (other == nullptr || move.loss + other->loss >= least) continue;
    found = {move, *other};
    least = move.loss + other->loss;
  }
  return found;
}

void exchange(const std::vector<Choices>& items, double budget, std::vector<size_t>& chosen) {
  for (int count = 0; count < kMostExchanges; ++count) {
    const Choice before = total(items, chosen);
    std::vector<size_t> after = chosen;
    for (const Move& move : best_exchange(moves_from(items, chosen), budget - before.size))
      after[move.item] = move.choice;
    const Choice now = total(items, after);
    if (now.size > budget || now.loss >= before.loss - kLeastGain * before.loss) return;
    chosen = after;
  }
}

// The same choice of every item that fits and loses least; none: none fits, or items have not as
// many.
std::optional<std::vector<size_t>> alike(const std::vector<Choices>& items, double budget) {
  const size_t count = items.front().size();
  if (!std::all_of(items.begin(), items.end(), [&](const Choices& c) { return c.size() == count; }))
    return std::nullopt;
  std::optional<std::vector<size_t>> best;
  for (size_t choice = 0; choice < count; ++choice) {
    const std::vector<size_t> all(items.size(), choice);
    const Choice of_all = total(items, all);
    if (of_all.size <= budget && (!best || of_all.loss < total(items, *best).loss)) best = all;
  }
  return best;
}

// The choices that lose least within a size.
std::vector<size_t> choose_within(const std::vector<Choices>& items, double size) {
  if (items.empty()) return {};
  assert(size >= least_spent(items, Budget::Of::kSize));
  std::vector<size_t> chosen = at_one_price(items, size);
  if (const auto same = alike(items, size);
      same && total(items, *same).loss < total(items, chosen).loss)
    chosen = *same;
  exchange(items, size, chosen);
  return chosen;
}

// Sizes for losses and the reverse: what is smallest within a loss is the same question.
std::vector<Choices> exchanged(std::vector<Choices> items) {
  for (Choices& choices : items)
    for (Choice& choice : choices) std::swap(choice.size, choice.loss);
  return items;
}

}  // namespace

Choice total(const std::vector<Choices>& items, const std::vector<size_t>& chosen) {
  Choice sum;
  for (size_t item = 0; item < items.size(); ++item) {
    sum.size += items[item][chosen[item]].size;
    sum.loss += items[item][chosen[item]].loss;
  }
  return sum;
}

double least_spent(const std::vector<Choices>& items, Budget::Of of) {
  const Budget budget{.of = of};
  double least = 0;
  for (const Choices& choices : items)
    least += budget.spent(*std::min_element(
        choices.begin(), choices.end(),
        [&](const Choice& a, const Choice& b) { return budget.spent(a) < budget.spent(b); }));
  return least;
}

std::vector<size_t> choose(const std::vector<Choices>& items, Budget budget) {
  return budget.of == Budget::Of::kSize ? choose_within(items, budget.most)
                                        : choose_within(exchanged(items), budget.most);
}

}  // namespace halftone
