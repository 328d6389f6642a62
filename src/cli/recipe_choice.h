// Recipes by the name or file that the user gave.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "recipe/recipe.h"

namespace halftone {

// A recipe that comes with the program, or a .toml file. Error: neither; the message lists the
// names.
Recipe find_recipe(const std::string& name_or_file);

// The file that find_recipe reads; none for a recipe that comes with the program.
std::optional<std::filesystem::path> recipe_file(const std::string& name_or_file);

// "gptq, rtn"
std::string recipe_names();

}  // namespace halftone
