// What a conversion did, as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

// Formats, sizes and bits per weight, before and after.   report: of pipeline/convert_model.h
std::string convert_text(const nlohmann::json& report);

}  // namespace halftone
