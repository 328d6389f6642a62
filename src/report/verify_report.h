// A verification as text; its JSON is what pipeline/verify_output.h describes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

// The files with their hashes, then a line a check.
std::string verify_text(const nlohmann::json& verification);

// The first check that does not hold: "reads back: ..."; "" where all do.
std::string first_failure(const nlohmann::json& verification);

}  // namespace halftone
