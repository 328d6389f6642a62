// Scores of positions as the JSON of interface.md 6.
#pragma once

#include <nlohmann/json.hpp>

#include "evaluate/score.h"
#include "evaluate/score_images.h"
#include "evaluate/statistics.h"

namespace halftone {

// Adds `perplexity` and, against a reference, `reference_perplexity`, `top1`, `kl`, `reverse_kl`
// and `by_confidence`.
void add_scores(const Scores& scores, nlohmann::json& result);

// Adds `accuracy` and `cross_entropy` and, against a reference, `reference_accuracy`, `top1`, `kl`
// and `reverse_kl`.
void add_scores(const ImageScores& scores, nlohmann::json& result);

// `llama`: what llama-perplexity says of them.
nlohmann::json llama_json(const Scores& scores);

// `groups`, but for the worst one's name.
nlohmann::json groups_json(const GroupSpread& spread);

}  // namespace halftone
