#include "evaluate/token_choice.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace halftone {
namespace {

struct Candidate {
  double probability;
  TokenId id;
};

// In [0, 1).
double uniform(Random& random) {
  return static_cast<double>(random.next() >> 11) * 0x1p-53;
}

// Softmax of logits / temperature.   logits: (vocab)
std::vector<Candidate> candidates_of(const at::Tensor& logits, double temperature) {
  const at::Tensor probabilities =
      at::softmax(logits.to(at::kCPU, at::kDouble) / temperature, -1).contiguous();
  std::vector<Candidate> all;
  for (int64_t i = 0; i < probabilities.size(0); ++i)
    all.push_back({probabilities.const_data_ptr<double>()[i], static_cast<TokenId>(i)});
  return all;
}

// Likeliest first, of equals the first; the fewest that are `top_p` together.
void keep_likeliest(std::vector<Candidate>& all, double top_p) {
  // all that are less likely are together below 1 - top_p, so none of them is needed
  const double least = (1 - top_p) / static_cast<double>(all.size());
  std::erase_if(all, [&](const Candidate& each) { return each.probability < least; });
  std::ranges::stable_sort(all, std::greater(), &Candidate::probability);
  double sum = 0;
  size_t kept = 0;
  while (kept < all.size() && sum < top_p) sum += all[kept++].probability;
  all.resize(std::max<size_t>(1, kept));
}

TokenId drawn(const std::vector<Candidate>& candidates, Random& random) {
  double sum = 0;
  for (const Candidate& each : candidates) sum += each.probability;
  double rest = uniform(random) * sum;
  for (const Candidate& each : candidates) {
    rest -= each.probability;
    if (rest < 0) return each.id;
  }
  return candidates.back().id;
}

}  // namespace

std::optional<TokenId> TokenChooser::choose(const at::Tensor& logits) {
  const at::Tensor greatest = logits.argmax(-1);  // a NaN counts as the greatest
  if (!std::isfinite(logits[greatest.item<int64_t>()].item<double>())) return std::nullopt;
  if (sampling_.temperature == 0) return static_cast<TokenId>(greatest.item<int64_t>());
  std::vector<Candidate> candidates = candidates_of(logits, sampling_.temperature);
  if (sampling_.top_p < 1) keep_likeliest(candidates, sampling_.top_p);
  return drawn(candidates, random_);
}

}  // namespace halftone
