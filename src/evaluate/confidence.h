// Where a divergence comes from: positions by how sure the reference is of its likeliest token. A
// slip where it is sure is a mistake that a reader sees; one where it hesitates is another word.
#pragma once

#include <vector>

#include "evaluate/score.h"

namespace halftone {

// Positions at which the reference's greatest probability lies in [from, to); the last one has 1.
struct ConfidenceBucket {
  double from = 0, to = 1;
  int64_t positions = 0;
  double kl = 0, top1 = 0;  // means over them; 0 where there are none
};

// From unsure to sure: [0, 0.5), [0.5, 0.9), [0.9, 0.99), [0.99, 1].   scores: against a reference
std::vector<ConfidenceBucket> by_confidence(const Scores& scores);

}  // namespace halftone
