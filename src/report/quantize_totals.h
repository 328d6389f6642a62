// The lines above the list of linears, shared by the text and the page.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace halftone {

// {"bits per weight", "4.250 in the quantized linears, ..."}, in the order in which they are shown.
std::vector<std::pair<std::string, std::string>> quantize_totals(const nlohmann::json& report);

// The report's list of linears, empty if there is none.
const nlohmann::json& linears_of(const nlohmann::json& report);

}  // namespace halftone
