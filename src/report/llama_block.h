// The statistics that llama-perplexity prints at the end, in its own layout, so that the two can be
// laid side by side.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

// `evaluation` as interface.md 6 has it; empty without its key "llama".
std::string llama_block(const nlohmann::json& evaluation);

}  // namespace halftone
