// Which token comes next: the likeliest, or one drawn from the likeliest (Holtzman et al. 2020,
// arXiv 1904.09751).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "base/random.h"
#include "text/tokenizer.h"

namespace halftone {

struct Sampling {
  double temperature = 0;  // what logits are divided by; 0: the likeliest token, always
  double top_p = 1;        // the fewest tokens, likeliest first, that are so probable together
  uint64_t seed = 0;
};

class TokenChooser {
 public:
  explicit TokenChooser(const Sampling& sampling) : sampling_(sampling), random_(sampling.seed) {}

  // logits: (vocab). Of equals the first. None: the greatest logit is no finite number.
  std::optional<TokenId> choose(const at::Tensor& logits);

 private:
  Sampling sampling_;
  Random random_;
};

}  // namespace halftone
