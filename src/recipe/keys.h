// Every number and word of a recipe, declared once: name, range, parser, printer, help. The TOML
// parser, --set, to_toml and `halftone recipes NAME` all go through this list.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "recipe/linear_recipe.h"
#include "recipe/model_recipe.h"

namespace halftone {

// The numbers of one linear before "auto" is replaced by a value.
struct LinearSettings {
  LinearRecipe linear;
  bool automatic_clip_search = true;  // methods.md 4.1: on at 2, 3 and 4 bits
};

struct RecipeSettings {
  LinearSettings common;
  ModelRecipe model;
};

// How a key reaches its number: in what may differ from linear to linear, or in what is the
// model's.
template <class Settings>
struct KeyAccess {
  // False if `text` is not what is expected; the settings are then unchanged.
  std::function<bool(Settings&, std::string_view text)> set;
  // As a TOML value: 4, 0.01, true, "natural".
  std::function<std::string(const Settings&)> print;
};

struct RecipeKey {
  std::string name;      // "grid.bits"
  std::string help;      // "bits of a code"
  std::string expected;  // "an integer in 1 .. 8"
  bool takes_text;       // the TOML value may be a string
  std::variant<KeyAccess<LinearSettings>, KeyAccess<ModelRecipe>> access;

  std::string print(const RecipeSettings& settings) const;
};

// In the order in which a recipe is printed; keys of one table are adjacent.
const std::vector<RecipeKey>& recipe_keys();

// "grid" of "grid.bits".
std::string_view table_of(std::string_view key);

// Error: unknown; it names the closest key and lists all.
const RecipeKey& find_recipe_key(std::string_view name);

// Parses `text` into the key and resolves what is automatic. Error: unknown key, value not as
// expected.
void set_recipe_key(RecipeSettings& settings, std::string_view name, std::string_view text);

// The same for a rule. Error also: a key of the whole model.
void set_linear_key(LinearSettings& settings, std::string_view name, std::string_view text);

}  // namespace halftone
