// The parts that tokenizer.json names by "type": an explicit list of kinds, and how a description
// becomes parts.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/json_fields.h"

namespace halftone {

template <class Part>
struct PartKind {
  const char* type;
  std::unique_ptr<const Part> (*parse)(const Json& description);
};

template <class Part>
std::unique_ptr<const Part> parse_part(std::span<const PartKind<Part>> kinds, const Json& part) {
  const std::string type = string_field(part, "type");
  std::string known;
  for (const auto& kind : kinds) {
    if (type == kind.type) return with_context(type, [&] { return kind.parse(part); });
    known += fmt::format("{}, ", kind.type);
  }
  fail("\"{}\" is not supported (known: {}Sequence)", printable(type), known);
}

template <class Part>
void append_parts(std::span<const PartKind<Part>> kinds, const char* list_name, const Json& part,
                  int depth, std::vector<std::unique_ptr<const Part>>& parts) {
  require(depth < 8, "Sequences are nested too deeply");
  if (string_field(part, "type") != "Sequence") {
    parts.push_back(parse_part(kinds, part));
    return;
  }
  for (const Json& inner : array_field(part, list_name))
    append_parts(kinds, list_name, inner, depth + 1, parts);
}

// The parts of a description in order, Sequences opened: {"type": "Sequence", list_name: [...]};
// none if it is null. Error: a type that `kinds` does not list; `section` tells where.
template <class Part>
std::vector<std::unique_ptr<const Part>> parse_parts(std::span<const PartKind<Part>> kinds,
                                                     const char* section, const char* list_name,
                                                     const Json* description) {
  std::vector<std::unique_ptr<const Part>> parts;
  if (description == nullptr) return parts;
  with_context(section, [&] { append_parts(kinds, list_name, *description, 0, parts); });
  return parts;
}

}  // namespace halftone
