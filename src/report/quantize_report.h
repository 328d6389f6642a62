// What a quantization did, as text and as a page. The JSON is what pipeline/quantize_model.h
// returns.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

// A few lines for the terminal: format, sizes, bits per weight, read-back, error, fallbacks, time.
std::string quantize_text(const nlohmann::json& report);

// One page that needs nothing else: totals, a bar chart of the relative error, a row per linear,
// the recipe.
std::string quantize_html(const nlohmann::json& report);

}  // namespace halftone
