// Recipes: named methods as TOML data over the parts of recipe/linear_recipe.h and
// recipe/model_recipe.h. A run resolves its recipe once, to what each linear gets.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipe/linear_recipe.h"
#include "recipe/model_recipe.h"

namespace halftone {

// Overrides for the linears whose name matches a glob (* any run of characters, ? one character).
struct RecipeRule {
  std::string match;                                          // "model.layers.*.mlp.down_proj"
  std::vector<std::pair<std::string, std::string>> settings;  // {"grid.bits", "3"}

  bool operator==(const RecipeRule&) const = default;
};

// What a run does to every linear of its model: the recipe with its rules applied.
struct RunRecipe {
  ModelRecipe model;
  std::map<std::string, LinearRecipe, std::less<>> linears;

  // linear: one of the names that were resolved
  const LinearRecipe& of(std::string_view linear) const { return linears.find(linear)->second; }
  bool any(auto&& is) const {
    return std::any_of(linears.begin(), linears.end(),
                       [&](const auto& linear) { return is(linear.second); });
  }
};

struct Recipe {
  std::string name, summary, paper;
  ModelRecipe model;
  LinearRecipe common;
  std::vector<RecipeRule> rules;
  // grid.clip_search is "auto": on at 2, 3 and 4 bits. common and for_linear() hold what that
  // comes to.
  bool automatic_clip_search = false;

  // The common part with every matching rule applied, in file order.
  LinearRecipe for_linear(std::string_view linear_name) const;
  RunRecipe resolve(const std::vector<std::string>& linears) const;
  // True if some linear may need calibration data.
  bool needs_calibration() const;

  bool operator==(const Recipe&) const = default;
};

// Errors name the line, the key and what was expected; an unknown key lists the known ones; values
// outside their range are refused (bits 1 .. 8; group_size 0 or 16 .. 1024; damping in [0, 10];
// ...).
Recipe parse_recipe(std::string_view toml, std::string name);

// "grid.bits=3", as in --set. Applies to the common part; rules still override it.
void apply_setting(Recipe& recipe, std::string_view setting);

// The same recipe with zero points from `least` up, in the common part and in every rule that says
// otherwise: what an output format may ask for.
Recipe with_zeros_from(int least, Recipe recipe);

// The word of a recipe for a value: "oac" for ObjectiveKind::kOac, "sampled" for
// LabelKind::kSampled.
std::string recipe_word(ObjectiveKind kind);
std::string recipe_word(LabelKind labels);

// The recipe in full, every key with its value, in a fixed order: what is stored and hashed.
// parse_recipe(to_toml(r), r.name) == r.
std::string to_toml(const Recipe& recipe);

// The same with a comment behind every key: what it means and what it may be.
std::string to_toml_with_help(const Recipe& recipe);

// The recipes that come with the program (recipes/*.toml, embedded at build time): name and TOML
// text, sorted.
const std::vector<std::pair<std::string, std::string>>& builtin_recipes();

}  // namespace halftone
