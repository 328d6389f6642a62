// The tokens that end what a model says.
#pragma once

#include <vector>

#include "pipeline/opened_model.h"

namespace halftone {

// Of a folder "eos_token_id" of generation_config.json, else of config.json; of a GGUF file its
// metadata's end of text, turn and message. Errors: ids that are no whole numbers.
std::vector<TokenId> end_tokens(const OpenedModel& opened);

}  // namespace halftone
