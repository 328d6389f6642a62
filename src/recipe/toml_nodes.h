// What the readers of TOML files say of a node that is not what they expect.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace halftone {

inline std::string line_of(const toml::node& node) {
  return fmt::format("line {}", node.source().begin.line);
}

inline std::string kind_of(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  if (node.is_string()) return "a string";
  return node.is_number() || node.is_boolean() ? "a value" : "a date or time";
}

// Empty where the key is absent.
inline std::string string_at(const toml::table& table, std::string_view key) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return "";
  require(node->is_string(), "{}: {}: expected a string, found {}", line_of(*node), key,
          kind_of(*node));
  return node->as_string()->get();
}

// parse(table), with errors of both behind `what`.
auto parsed_toml(const std::string& what, std::string_view text, auto&& parse) {
  return with_context(what, [&] {
    try {
      return parse(toml::parse(text));
    } catch (const toml::parse_error& error) {
      fail("line {}: not TOML: {}", error.source().begin.line, printable(error.description(), 300));
    }
  });
}

}  // namespace halftone
