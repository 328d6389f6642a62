#include "recipe/recipe.h"

#include <algorithm>

#include "base/error.h"
#include "recipe/glob.h"
#include "recipe/keys.h"

namespace halftone {

LinearRecipe Recipe::for_linear(std::string_view linear_name) const {
  LinearSettings settings{common, automatic_clip_search};
  for (const RecipeRule& rule : rules)
    if (matches_glob(rule.match, linear_name))
      for (const auto& [key, text] : rule.settings) set_recipe_key(settings, key, text);
  return settings.linear;
}

bool Recipe::needs_calibration() const {
  LinearSettings settings{common, automatic_clip_search};
  const auto needs = [&] { return settings.linear.objective.kind != ObjectiveKind::kNone; };
  if (needs()) return true;
  for (const RecipeRule& rule : rules)
    for (const auto& [key, text] : rule.settings) {
      set_recipe_key(settings, key, text);
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
  LinearSettings settings{recipe.common, recipe.automatic_clip_search};
  set_recipe_key(settings, setting.substr(0, equals), text);
  recipe.common = settings.linear;
  recipe.automatic_clip_search = settings.automatic_clip_search;
}

}  // namespace halftone
