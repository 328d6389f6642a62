// "post_processor" of tokenizer.json: the tokens that are put around a text.
#pragma once

#include <vector>

#include "text/json_fields.h"
#include "text/tokenizer.h"

namespace halftone {

struct SpecialIds {
  std::vector<TokenId> before, after;
};

// Error: a kind that is not supported.
SpecialIds parse_post_processor(const Json* description);

}  // namespace halftone
