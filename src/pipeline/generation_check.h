// Whether a model still writes: short texts behind parts of a text, which may end in loops, and
// lines of JSON. A quantized model can lose that before its perplexity shows it.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "base/progress.h"
#include "pipeline/opened_model.h"

namespace halftone {

// `generation` of interface.md 6: `texts` texts of the model and, unless it is null, its reference,
// greedily.   tokens: what the text's windows hold, one after another. Errors: fewer of them than a
// prompt has; logits that are no numbers.
nlohmann::json check_generation(const OpenedModel& model, const OpenedModel* reference,
                                std::span<const TokenId> tokens, int64_t texts,
                                const Execution& execution, Progress& progress);

}  // namespace halftone
