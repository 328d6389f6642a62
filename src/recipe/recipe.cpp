#include "recipe/recipe.h"

#include <algorithm>

#include "base/error.h"
#include "recipe/glob.h"
#include "recipe/keys.h"

namespace halftone {
namespace {

LinearSettings settings_of(const Recipe& recipe) {
  return {recipe.common, recipe.automatic_clip_search};
}

// A key's value without the quotes of TOML.
std::string word_of(std::string_view key, const RecipeSettings& settings) {
  const std::string quoted = find_recipe_key(key).print(settings);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

LinearRecipe Recipe::for_linear(std::string_view linear_name) const {
  LinearSettings settings = settings_of(*this);
  for (const RecipeRule& rule : rules)
    if (matches_glob(rule.match, linear_name))
      for (const auto& [key, text] : rule.settings) set_linear_key(settings, key, text);
  return settings.linear;
}

RunRecipe Recipe::resolve(const std::vector<std::string>& linears) const {
  RunRecipe run{model, {}};
  for (const std::string& linear : linears) run.linears.emplace(linear, for_linear(linear));
  return run;
}

bool Recipe::needs_calibration() const {
  LinearSettings settings = settings_of(*this);
  const auto needs = [&] { return settings.linear.objective.needs_sequences(); };
  if (needs()) return true;
  for (const RecipeRule& rule : rules)
    for (const auto& [key, text] : rule.settings) {
      set_linear_key(settings, key, text);
      if (needs()) return true;
    }
  return false;
}

void apply_setting(Recipe& recipe, std::string_view setting) {
  const size_t equals = setting.find('=');
  require(equals != std::string_view::npos && equals > 0,
          "expected KEY=VALUE such as grid.bits=3, found {}",
          setting.empty() ? "nothing" : printable(setting));
  std::string_view text = setting.substr(equals + 1);
  const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  if (quoted) text = text.substr(1, text.size() - 2);
  RecipeSettings settings{settings_of(recipe), recipe.model};
  set_recipe_key(settings, setting.substr(0, equals), text);
  recipe.common = settings.common.linear;
  recipe.automatic_clip_search = settings.common.automatic_clip_search;
  recipe.model = settings.model;
}

Recipe with_zeros_from(int least, Recipe recipe) {
  recipe.common.grid.zero_min = std::max(recipe.common.grid.zero_min, least);
  for (RecipeRule& rule : recipe.rules)
    for (auto& [key, text] : rule.settings) {
      if (key != "grid.zero_min") continue;
      LinearSettings settings;
      set_linear_key(settings, key, text);
      text = std::to_string(std::max(settings.linear.grid.zero_min, least));
    }
  return recipe;
}

std::string recipe_word(ObjectiveKind kind) {
  RecipeSettings settings;
  settings.common.linear.objective.kind = kind;
  return word_of("objective.kind", settings);
}

std::string recipe_word(LabelKind labels) {
  RecipeSettings settings;
  settings.model.labels = labels;
  return word_of("objective.labels", settings);
}

}  // namespace halftone
