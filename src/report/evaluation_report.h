// Evaluations as text. Their JSON is what pipeline/evaluate_model.h describes; absent numbers are
// shown as "-".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace halftone {

// One evaluation, a number a line, with the protocol and the compute dtype.
std::string evaluation_text(const nlohmann::json& evaluation);

// Several of the same text side by side, the first being the reference of the others.
std::string comparison_text(const std::vector<nlohmann::json>& evaluations);

// Error: a result of the evaluation is not a number ("failure" says which, and why).
void require_numbers(const nlohmann::json& evaluation);

}  // namespace halftone
