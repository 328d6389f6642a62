#include "task/toml_keys.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/closest.h"
#include "base/error.h"

namespace halftone {
namespace {

[[noreturn]] void wrong_type(const toml::node& node, const char* key, const char* expected) {
  fail("{}: {}: expected {}", line_of(node), key, expected);
}

}  // namespace

std::string line_of(const toml::node& node) {
  return fmt::format("line {}", std::max(1u, node.source().begin.line));
}

void require_known_keys(const toml::table& table, std::initializer_list<const char*> known) {
  const std::vector<std::string> names(known.begin(), known.end());
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    fail("{}: unknown key {}{}; known keys: {}", line_of(node), printable(name),
         did_you_mean(name, names), fmt::join(names, ", "));
  }
}

const toml::node& require_key(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  if (node == nullptr) fail("{}: \"{}\" is missing", line_of(table), key);
  return *node;
}

std::string require_string(const toml::node& node, const char* key) {
  if (!node.is_string()) wrong_type(node, key, "a text");
  return node.as_string()->get();
}

std::vector<const toml::node*> require_list(const toml::node& node, const char* key) {
  const bool filled = node.is_array() && !node.as_array()->empty();
  if (!filled) wrong_type(node, key, "a list of texts");
  std::vector<const toml::node*> elements;
  for (const toml::node& element : *node.as_array()) elements.push_back(&element);
  return elements;
}

std::optional<std::string> find_string(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  return node == nullptr ? std::nullopt : std::optional(require_string(*node, key));
}

std::vector<const toml::table*> require_tables(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  const bool tables =
      node != nullptr && node->is_array() && node->as_array()->is_homogeneous<toml::table>();
  if (!tables)
    fail("{}: expected [[{}]] (two brackets)", line_of(node == nullptr ? table : *node), key);
  std::vector<const toml::table*> all;
  for (const toml::node& element : *node->as_array()) all.push_back(element.as_table());
  return all;
}

}  // namespace halftone
