// Requests to quantize the demo model (examples/stories260K, 260K parameters, 5 blocks), and what
// they leave.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "base/files.h"
#include "pipeline/quantize_model.h"

namespace halftone::testing {

inline std::filesystem::path example(const std::string& name) {
  return std::filesystem::path(HALFTONE_SOURCE_DIR) / "examples" / name;
}

inline Recipe recipe_named(const std::string& wanted, int bits) {
  for (const auto& [name, toml] : builtin_recipes()) {
    if (name != wanted) continue;
    Recipe recipe = parse_recipe(toml, name);
    apply_setting(recipe, fmt::format("grid.bits={}", bits));
    apply_setting(recipe, "grid.group_size=64");
    return recipe;
  }
  throw std::logic_error("no such recipe");
}

inline QuantizeRequest request_for(const std::filesystem::path& out, const std::string& recipe,
                                   int bits) {
  QuantizeRequest request;
  request.model = example("stories260K");
  request.out = out;
  request.recipe = recipe_named(recipe, bits);
  request.calibration = {{.file = example("tinystories-calibration.txt")}};
  request.sequences = 8;
  request.length = 256;
  request.format = "native";
  request.threads = 2;
  return request;
}

inline nlohmann::json run(const QuantizeRequest& request) {
  SilentProgress progress;
  return quantize_model(request, progress);
}

inline std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files[entry.path().filename().string()] = read_file(entry.path());
  return files;
}

inline size_t entries(const std::filesystem::path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                           std::filesystem::directory_iterator()));
}

}  // namespace halftone::testing
