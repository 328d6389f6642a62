// What an evaluation says of how far a model is from its reference, as rows of a table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/text_table.h"

namespace halftone {

// " (95 %: 0.041 to 0.049)"; "" where the number has no interval.   name: "kl"
std::string interval_text(const nlohmann::json& evaluation, const std::string& name);

// "0.041 to 0.049", or "-".
std::string range_text(const nlohmann::json& evaluation, const std::string& name);

// KL with its noise floor and quantiles, the other way round, by confidence of the reference, the
// same top token.
void add_divergence_rows(const nlohmann::json& evaluation, TextTable& table);

// Of several texts a row each, and the worst one; "" for one.
std::string texts_table(const nlohmann::json& evaluation);

// "KL of the worst text 0.5 (95 %: ...), notes.txt, 0.1 above the mean of 3 texts"; "" for one.
std::string worst_text(const nlohmann::json& evaluation);

}  // namespace halftone
