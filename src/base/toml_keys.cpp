#include "base/toml_keys.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/closest.h"
#include "base/error.h"

namespace halftone {
namespace {

[[noreturn]] void wrong_type(const toml::node& node, const char* key, const char* expected) {
  fail("{}: {}: expected {}, found {}", line_of(node), key, expected, kind_of(node));
}

}  // namespace

std::string line_of(const toml::node& node) {
  return fmt::format("line {}", std::max(1u, node.source().begin.line));
}

std::string kind_of(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (const toml::array* list = node.as_array()) return list->empty() ? "an empty list" : "a list";
  if (node.is_string()) return "a string";
  return node.is_number() || node.is_boolean() ? "a value" : "a date or time";
}

toml::table parse_toml(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    fail("line {}: not TOML: {}", error.source().begin.line, printable(error.description(), 300));
  }
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
  if (!node.is_string()) wrong_type(node, key, "a string");
  return node.as_string()->get();
}

std::vector<const toml::node*> require_list(const toml::node& node, const char* key) {
  const bool filled = node.is_array() && !node.as_array()->empty();
  if (!filled) wrong_type(node, key, "a list of strings");
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
    fail("{}: expected [[{}]] (two brackets){}", line_of(node == nullptr ? table : *node), key,
         node == nullptr ? "" : ", found " + kind_of(*node));
  std::vector<const toml::table*> all;
  for (const toml::node& element : *node->as_array()) all.push_back(element.as_table());
  return all;
}

std::vector<const toml::table*> find_tables(const toml::table& table, const char* key) {
  if (!table.contains(key)) return {};
  return require_tables(table, key);
}

}  // namespace halftone
