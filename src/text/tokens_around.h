// The tokens that a tokenizer's own settings put around a text.
#pragma once

#include <vector>

#include "text/tokenizer.h"

namespace halftone {

struct TokensAround {
  std::vector<TokenId> before, after;
};
TokensAround tokens_around(const Tokenizer& tokenizer);

}  // namespace halftone
