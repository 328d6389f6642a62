// The files of a model folder that travel with the weights.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace halftone {

// Copies tokenizer, generation and preprocessing files byte for byte, by their known names; links
// are followed.
void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to);

// A model's config without any trace of an earlier quantization.
nlohmann::json without_quantization(nlohmann::json config);

}  // namespace halftone
