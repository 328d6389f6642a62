#include "pipeline/gguf_type_rules.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "format/gguf_blocks.h"

namespace halftone {
namespace {

// What a linear gets in place of the type that was asked for; the type itself if its rows allow it.
const GgufType& type_for(const GgufType& asked, const LinearSlot& linear) {
  if (linear.in % asked.block_length == 0) return asked;
  const GgufType* other = gguf_fallback(asked);
  require(other != nullptr && linear.in % other->block_length == 0,
          "--type {}: {} has {} input columns, not a multiple of {}{}", asked.name, linear.name,
          linear.in, asked.block_length,
          other ? fmt::format(", nor of the {} of {}", other->block_length, other->name) : "");
  return *other;
}

// Linears of one type in place of another.
struct Substitutes {
  std::set<int64_t> columns;
  int64_t linears = 0;
};

std::string describe(const GgufType& asked, int64_t all,
                     const std::map<const GgufType*, Substitutes>& substitutes) {
  std::string note;
  for (const auto& [type, found] : substitutes)
    note += fmt::format(
        "{}{} of {} linears are {} ({:.4g} bits a weight) in place of {} ({:.4g}), whose blocks "
        "of {} do not divide {} columns",
        note.empty() ? "" : "; ", found.linears, all, type->name, type->bits_per_weight(),
        asked.name, asked.bits_per_weight(), asked.block_length, fmt::join(found.columns, ", "));
  return note;
}

// One rule for the linears of a name in all blocks, where they are alike.
std::vector<RecipeRule> rules_for(const GgufType& asked, const std::vector<LinearSlot>& linears,
                                  auto&& settings_of) {
  std::map<std::string, std::set<const GgufType*>> of_name;
  for (const LinearSlot& linear : linears)
    of_name[linear.relative].insert(&type_for(asked, linear));
  std::vector<RecipeRule> rules;
  std::set<std::string> done;
  for (const LinearSlot& linear : linears) {
    const GgufType& type = type_for(asked, linear);
    const bool alike = of_name[linear.relative].size() == 1;
    const std::string match = alike ? "*." + linear.relative : linear.name;
    if (&type != &asked && done.insert(match).second)
      rules.push_back({.match = match, .settings = settings_of(type)});
  }
  return rules;
}

}  // namespace

TypedRecipe with_gguf_type(Recipe recipe, const std::string& name,
                           const std::vector<LinearSlot>& linears) {
  const GgufType* asked = find_gguf_type(name);
  const bool compensated = recipe.common.objective.kind != ObjectiveKind::kNone;
  const auto settings_of = [&](const GgufType& type) {
    return gguf_grid_settings(type, compensated);
  };
  require(asked != nullptr && !settings_of(*asked).empty(), "--type: expected one of {}, found {}",
          gguf_grid_types(), printable(name));
  for (const auto& [key, text] : settings_of(*asked)) apply_setting(recipe, key + "=" + text);
  const std::vector<RecipeRule> rules = rules_for(*asked, linears, settings_of);
  recipe.rules.insert(recipe.rules.begin(), rules.begin(), rules.end());
  std::map<const GgufType*, Substitutes> substitutes;
  for (const LinearSlot& linear : linears) {
    const GgufType& type = type_for(*asked, linear);
    if (&type == asked) continue;
    substitutes[&type].linears += 1;
    substitutes[&type].columns.insert(linear.in);
  }
  return {std::move(recipe), describe(*asked, static_cast<int64_t>(linears.size()), substitutes)};
}

}  // namespace halftone
