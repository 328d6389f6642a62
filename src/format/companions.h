// The files of a model folder that travel with the weights.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace halftone {

struct Companions {
  std::vector<std::filesystem::path> files;  // relative to the folder, sorted
  // What belongs to them by name but cannot be copied, sorted; one line each: "tokenizer.json: a
  // link to gone, which is not there".
  std::vector<std::string> missing;
};

// Tokenizer, chat template, generation, preprocessing and licence files, by name; the Python files
// that auto_map and custom_pipelines name, and those that they import.
Companions find_companions(const std::filesystem::path& folder);

// Copies their files byte for byte; links are followed.
void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to);

// A model's config without any trace of an earlier quantization.
nlohmann::json without_quantization(nlohmann::json config);

}  // namespace halftone
