#include "evaluate/confidence.h"

namespace halftone {

std::vector<ConfidenceBucket> by_confidence(const Scores& scores) {
  std::vector<ConfidenceBucket> buckets = {{0, 0.5}, {0.5, 0.9}, {0.9, 0.99}, {0.99, 1}};
  for (size_t i = 0; i < scores.confidence.size(); ++i) {
    size_t at = buckets.size() - 1;
    while (at > 0 && !(scores.confidence[i] >= buckets[at].from)) --at;
    ConfidenceBucket& bucket = buckets[at];
    ++bucket.positions;
    bucket.kl += scores.kl[i];
    bucket.top1 += scores.same_top[i];
  }
  for (ConfidenceBucket& bucket : buckets) {
    if (bucket.positions == 0) continue;
    bucket.kl /= static_cast<double>(bucket.positions);
    bucket.top1 /= static_cast<double>(bucket.positions);
  }
  return buckets;
}

}  // namespace halftone
