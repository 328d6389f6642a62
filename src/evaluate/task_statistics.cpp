#include "evaluate/task_statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace halftone {
namespace {

// The probability of at most `k` heads of `n` throws.
double binomial_tail(int64_t k, int64_t n) {
  const auto log_factorial = [](int64_t of) { return std::lgamma(static_cast<double>(of) + 1); };
  double sum = 0;
  for (int64_t i = 0; i <= k; ++i)
    sum += std::exp(log_factorial(n) - log_factorial(i) - log_factorial(n - i) -
                    static_cast<double>(n) * std::log(2.0));
  return sum;
}

// The first of the greatest.
size_t best_of(const std::vector<double>& scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

}  // namespace

Decision decide(const std::vector<LogLikelihood>& choices, const std::vector<int64_t>& lengths,
                size_t gold) {
  assert(choices.size() == lengths.size() && gold < choices.size());
  if (choices.size() == 1) return {choices[0].is_greedy, choices[0].is_greedy};
  std::vector<double> plain, normalized;
  for (size_t i = 0; i < choices.size(); ++i) {
    plain.push_back(choices[i].value);
    normalized.push_back(choices[i].value / static_cast<double>(lengths[i]));
  }
  return {best_of(plain) == gold, best_of(normalized) == gold};
}

Estimate accuracy(const std::vector<uint8_t>& correct) {
  const auto n = static_cast<double>(correct.size());
  const double mean = static_cast<double>(std::count(correct.begin(), correct.end(), 1)) / n;
  Estimate estimate{mean, std::nullopt};
  if (n > 1) estimate.standard_error = std::sqrt(mean * (1 - mean) / (n - 1));
  return estimate;
}

Flips count_flips(const std::vector<uint8_t>& before, const std::vector<uint8_t>& after) {
  assert(before.size() == after.size());
  Flips flips;
  for (size_t i = 0; i < before.size(); ++i) {
    flips.right_to_wrong += before[i] && !after[i];
    flips.wrong_to_right += !before[i] && after[i];
  }
  const int64_t all = flips.right_to_wrong + flips.wrong_to_right;
  flips.p =
      std::min(1.0, 2 * binomial_tail(std::min(flips.right_to_wrong, flips.wrong_to_right), all));
  return flips;
}

}  // namespace halftone
