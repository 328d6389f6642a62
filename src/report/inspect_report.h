// What a path holds, as text. The JSON is what inspect_path of pipeline/inspect.h returns.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

// Every value on a line of its own, then the tensors, if listed, as a table. A recipe is shown as
// its TOML.
std::string inspect_text(const nlohmann::json& inspection);

}  // namespace halftone
