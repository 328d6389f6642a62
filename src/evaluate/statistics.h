// From scores of positions to the numbers that are reported, each with its uncertainty
// (methods.md 12).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "evaluate/bootstrap.h"

namespace halftone {

struct Estimate {
  double value = 0;
  std::optional<double> standard_error = {};  // over windows; none for a single window
  std::optional<Interval> interval = {};      // 95 %, likewise; of means over windows
};

// values: windows * positions, by window -> (windows)
template <class Number>
std::vector<double> window_means(const std::vector<Number>& values, int64_t windows);

// Mean over positions; the error is that of the mean of window means. values: as there.
template <class Number>
Estimate mean_over_windows(const std::vector<Number>& values, int64_t windows);

// exp(mean nll); error by the delta method.
Estimate perplexity(const std::vector<double>& nll, int64_t windows);

// Linear interpolation at p (n - 1), p in [0, 1]. Reorders `values`. Error of the caller: empty.
double percentile(std::vector<double>& values, double p);

}  // namespace halftone
