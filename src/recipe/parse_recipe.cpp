// TOML -> Recipe.

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/closest.h"
#include "base/error.h"
#include "base/toml_keys.h"
#include "recipe/keys.h"
#include "recipe/recipe.h"

namespace halftone {
namespace {

// A value as --set would write it; nothing for tables, lists and dates.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* value = node.as_integer()) return std::to_string(value->get());
  if (const auto* value = node.as_floating_point()) return fmt::format("{}", value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  if (const auto* value = node.as_string()) return value->get();
  return std::nullopt;
}

// What takes a key's name and text: set_recipe_key on the whole recipe, set_linear_key in a rule.
using SetKey = std::function<void(std::string_view name, std::string_view text)>;

// Sets one key from its node; returns the value's text.
std::string set_from_node(const SetKey& set, const std::string& name, const toml::node& node) {
  return with_context(line_of(node), [&] {
    const RecipeKey& key = find_recipe_key(name);
    const auto text = text_of(node);
    require(text && (key.takes_text || !node.is_string()), "{}: expected {}, found {}", name,
            key.expected, kind_of(node));
    set(name, *text);
    return *text;
  });
}

void require_known_table(const std::string& name, const toml::node& node) {
  std::vector<std::string> known;
  for (const RecipeKey& key : recipe_keys())
    if (const std::string table(table_of(key.name)); known.empty() || known.back() != table)
      known.push_back(table);
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  fail("{}: unknown table [{}]{}; known tables: {}, and [[rule]]", line_of(node), printable(name),
       did_you_mean(name, known), fmt::join(known, ", "));
}

// Sets all keys of the tables in `table` and returns them as {name, text} in the order of
// recipe_keys(). `own` are the keys that belong to the table itself.
std::vector<std::pair<std::string, std::string>> set_all(const SetKey& set_key,
                                                         const toml::table& table,
                                                         const std::set<std::string_view>& own) {
  std::vector<std::pair<std::string, std::string>> set;
  for (const auto& [part, node] : table) {
    if (own.contains(part.str())) continue;
    const std::string prefix(part.str());
    if (!node.is_table()) {
      set_from_node(set_key, prefix, node);  // no key is without a table: says so
      continue;
    }
    require_known_table(prefix, node);
    for (const auto& [key, value] : *node.as_table()) {
      const std::string name = fmt::format("{}.{}", prefix, key.str());
      set.emplace_back(name, set_from_node(set_key, name, value));
    }
  }
  const auto place = [](const std::string& name) { return &find_recipe_key(name); };
  std::sort(set.begin(), set.end(),
            [&](const auto& a, const auto& b) { return place(a.first) < place(b.first); });
  return set;
}

RecipeRule parse_rule(const toml::node& node) {
  require(node.is_table(), "{}: rule: expected [[rule]] tables, found {}", line_of(node),
          kind_of(node));
  const toml::table& table = *node.as_table();
  RecipeRule rule;
  rule.match = find_string(table, "match").value_or("");
  require(!rule.match.empty(), "{}: [[rule]]: expected match = \"GLOB\"", line_of(node));
  LinearSettings scratch;
  const SetKey set_in_rule = [&](auto name, auto text) { set_linear_key(scratch, name, text); };
  rule.settings = set_all(set_in_rule, table, {"match"});
  require(!rule.settings.empty(), "{}: [[rule]]: expected a key to set, such as grid.bits = 3",
          line_of(node));
  return rule;
}

std::vector<RecipeRule> parse_rules(const toml::table& table) {
  const toml::node* node = table.get("rule");
  if (node == nullptr) return {};
  require(node->is_array(), "{}: rule: expected [[rule]] (two brackets), found {}", line_of(*node),
          kind_of(*node));
  std::vector<RecipeRule> rules;
  for (const toml::node& element : *node->as_array()) rules.push_back(parse_rule(element));
  return rules;
}

Recipe read_recipe(const toml::table& table, std::string name) {
  Recipe recipe;
  recipe.name = std::move(name);
  recipe.summary = find_string(table, "summary").value_or("");
  recipe.paper = find_string(table, "paper").value_or("");
  RecipeSettings settings;
  const SetKey set = [&](auto key, auto text) { set_recipe_key(settings, key, text); };
  set_all(set, table, {"summary", "paper", "rule"});
  // "auto" is resolved even where the recipe sets no key at all
  set("grid.bits", std::to_string(settings.common.linear.grid.bits));
  recipe.model = settings.model;
  recipe.common = settings.common.linear;
  recipe.automatic_clip_search = settings.common.automatic_clip_search;
  recipe.rules = parse_rules(table);
  return recipe;
}

}  // namespace

Recipe parse_recipe(std::string_view text, std::string name) {
  return with_context(fmt::format("recipe {}", printable(name)),
                      [&] { return read_recipe(parse_toml(text), name); });
}

}  // namespace halftone
