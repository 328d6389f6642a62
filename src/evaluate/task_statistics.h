// From log-likelihoods of choices to what tasks report, as lm-evaluation-harness computes it.
#pragma once

#include <cstdint>
#include <vector>

#include "evaluate/score_requests.h"
#include "evaluate/statistics.h"

namespace halftone {

// Of one item: whether the right choice is the likeliest, by its log-likelihood and by that a code
// point. Of equals the first choice counts. A single one is right where it is the likeliest text.
struct Decision {
  bool correct = false, correct_normalized = false;
};
// lengths: of the choices, in code points
Decision decide(const std::vector<LogLikelihood>& choices, const std::vector<int64_t>& lengths,
                size_t gold);

// The mean of 0 and 1; its error is the sample's deviation / sqrt(items).
Estimate accuracy(const std::vector<uint8_t>& correct);

// What two models decide differently.
struct Flips {
  int64_t right_to_wrong = 0, wrong_to_right = 0;
  double p = 1;  // McNemar's exact test, two-sided: both ways are equally likely
};
Flips count_flips(const std::vector<uint8_t>& before, const std::vector<uint8_t>& after);

}  // namespace halftone
