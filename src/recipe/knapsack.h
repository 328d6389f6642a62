// One choice for each item, so that together they lose least and are no larger than a budget
// (methods.md 13.3): the plain numbers behind bits that are chosen by measurement.
#pragma once

#include <cstddef>
#include <vector>

namespace halftone {

struct Choice {
  double size = 0, loss = 0;  // finite

  bool operator==(const Choice&) const = default;
};
using Choices = std::vector<Choice>;  // of one item, in any order; one at least

// What the choices of all items come to.   chosen: of each item, which of its choices
Choice total(const std::vector<Choices>& items, const std::vector<size_t>& chosen);

// The least budget that can be kept.
double smallest_size(const std::vector<Choices>& items);

// Of each item, which of its choices. Never larger than the budget (at least smallest_size), nor
// does it lose more than any choice that all items could take alike (the first of each, the second
// of each, ...: where all have as many). Lagrange's solution, each item at the corner of its lower
// convex hull at one price a size, filled up and exchanged in pairs until nothing gains.
std::vector<size_t> choose(const std::vector<Choices>& items, double budget);

}  // namespace halftone
