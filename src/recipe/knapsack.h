// One choice for each item, so that together they lose least and are no larger than a budget, or
// are smallest and lose no more than one (methods.md 13.3): the plain numbers behind bits that are
// chosen by measurement.
#pragma once

#include <cstddef>
#include <vector>

namespace halftone {

struct Choice {
  double size = 0, loss = 0;  // finite

  bool operator==(const Choice&) const = default;
};
using Choices = std::vector<Choice>;  // of one item, in any order; one at least

// How much of one of the two all items may come to; of the other as little as can be.
struct Budget {
  enum class Of { kSize, kLoss } of = Of::kSize;
  double most = 0;

  double spent(const Choice& choice) const { return of == Of::kSize ? choice.size : choice.loss; }
  double cost(const Choice& choice) const { return of == Of::kSize ? choice.loss : choice.size; }
};

// What the choices of all items come to.   chosen: of each item, which of its choices
Choice total(const std::vector<Choices>& items, const std::vector<size_t>& chosen);

// The least that can be kept of such a budget.
double least_spent(const std::vector<Choices>& items, Budget::Of of);

// Of each item, which of its choices. Never beyond the budget (at least least_spent), nor does it
// cost more than any choice that all items could take alike (the first of each, the second of each,
// ...: where all have as many). Lagrange's solution, each item at the corner of its lower convex
// hull at one price, filled up and exchanged in pairs until nothing gains.
std::vector<size_t> choose(const std::vector<Choices>& items, Budget budget);

}  // namespace halftone
