#include "cli/recipe_choice.h"

#include <fmt/ranges.h>

#include <filesystem>
#include <vector>

#include "base/closest.h"
#include "base/error.h"
#include "base/files.h"

namespace halftone {
namespace {

constexpr size_t kLargestRecipe = size_t{1} << 20;

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, text] : builtin_recipes()) all.push_back(name);
  return all;
}

}  // namespace

std::string recipe_names() {
  return fmt::format("{}", fmt::join(names(), ", "));
}

std::optional<std::filesystem::path> recipe_file(const std::string& name_or_file) {
  for (const auto& [name, text] : builtin_recipes())
    if (name == name_or_file) return std::nullopt;
  const std::filesystem::path path = name_or_file;
  std::error_code error;
  const bool is_file = path.extension() == ".toml" || path.has_parent_path() ||
                       std::filesystem::is_regular_file(path, error);
  return is_file ? std::optional(path) : std::nullopt;
}

Recipe find_recipe(const std::string& name_or_file) {
  for (const auto& [name, text] : builtin_recipes())
    if (name == name_or_file) return parse_recipe(text, name);
  const std::optional<std::filesystem::path> file = recipe_file(name_or_file);
  if (!file)
    fail("recipe {}: unknown{}; known are {}, or a .toml file", printable(name_or_file),
         did_you_mean(name_or_file, names()), recipe_names());
  return parse_recipe(read_file(*file, kLargestRecipe), file->stem().string());
}

}  // namespace halftone
