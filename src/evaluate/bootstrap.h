// What chance may have done to a mean: percentile intervals of the bootstrap (Efron 1979) over
// windows, whose tokens are not independent of one another. Seeded: the same numbers give the same
// interval.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace halftone {

struct Interval {
  double low = 0, high = 0;
};

// Of the mean of these, 95 %. None for fewer than two; NaN where one of them is.
std::optional<Interval> bootstrap_interval(const std::vector<double>& window_means);

// How unequally groups fare of which each has a list of window means.
struct GroupSpread {
  double mean = 0;                   // of the groups' means, each counting alike
  double worst = 0;                  // the greatest of them
  size_t worst_group = 0;            // and whose it is
  std::optional<Interval> interval;  // of the worst, 95 %: every group is drawn anew; none where
                                     // one of them has a single window
  double gap() const { return worst - mean; }
};
// NaN counts as the greatest. Error of the caller: no group, or an empty one.
GroupSpread spread_of_groups(const std::vector<std::vector<double>>& groups);

}  // namespace halftone
