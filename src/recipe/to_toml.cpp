// Recipe -> TOML.

#include <algorithm>

#include "base/error.h"
#include "recipe/keys.h"
#include "recipe/recipe.h"

namespace halftone {
namespace {

constexpr size_t kHelpColumn = 32;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string with_help(std::string line, const RecipeKey& key) {
  if (line.size() < kHelpColumn) line.resize(kHelpColumn, ' ');
  return fmt::format("{} # {}: {}", line, key.help, key.expected);
}

std::string common_part(const Recipe& recipe, bool help) {
  const RecipeSettings settings{{recipe.common, recipe.automatic_clip_search}, recipe.model};
  std::string out;
  std::string_view table;
  for (const RecipeKey& key : recipe_keys()) {
    if (table_of(key.name) != table) {
      table = table_of(key.name);
      out += fmt::format("\n[{}]\n", table);
    }
    const std::string line =
        fmt::format("{} = {}", key.name.substr(table.size() + 1), key.print(settings));
    out += (help ? with_help(line, key) : line) + '\n';
  }
  return out;
}

std::string rule_part(const RecipeRule& rule) {
  std::string out = fmt::format("\n[[rule]]\nmatch = {}\n", quoted(rule.match));
  for (const auto& [name, text] : rule.settings) {
    RecipeSettings settings;
    set_recipe_key(settings, name, text);
    out += fmt::format("{} = {}\n", name, find_recipe_key(name).print(settings));
  }
  return out;
}

std::string print(const Recipe& recipe, bool help) {
  std::string out =
      fmt::format("summary = {}\npaper = {}\n", quoted(recipe.summary), quoted(recipe.paper));
  out += common_part(recipe, help);
  for (const RecipeRule& rule : recipe.rules) out += rule_part(rule);
  return out;
}

}  // namespace

std::string to_toml(const Recipe& recipe) {
  return print(recipe, false);
}

std::string to_toml_with_help(const Recipe& recipe) {
  return print(recipe, true);
}

}  // namespace halftone
