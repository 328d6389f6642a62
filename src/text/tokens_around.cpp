#include "text/tokens_around.h"

#include <algorithm>

namespace halftone {

TokensAround tokens_around(const Tokenizer& tokenizer) {
  const auto plain = tokenizer.encode("a", false), full = tokenizer.encode("a", true);
  const auto at = std::search(full.begin(), full.end(), plain.begin(), plain.end());
  TokensAround around{{full.begin(), at}, {}};
  if (at != full.end()) around.after.assign(at + static_cast<ptrdiff_t>(plain.size()), full.end());
  return around;
}

}  // namespace halftone
