#include "task/fields.h"

#include <fmt/ranges.h>

#include "base/closest.h"
#include "base/error.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr std::string_view kEach = "[]";

std::vector<std::string> names_of(const json& item) {
  std::vector<std::string> names;
  if (item.is_object())
    for (const auto& [name, value] : item.items()) names.push_back(printable(name));
  return names;
}

const json& member(const json& object, std::string_view name) {
  require(object.is_object(), "expected an object with the field \"{}\", found {}", name,
          object.type_name());
  const auto found = object.find(std::string(name));
  if (found == object.end() || found->is_null())
    fail("no field \"{}\"{}; found {}", name, did_you_mean(name, names_of(object)),
         field_names(object));
  return *found;
}

std::string text_of(const json& value, std::string_view path) {
  if (value.is_string()) return value.get<std::string>();
  require(value.is_number_integer() || value.is_boolean(),
          "\"{}\": expected a text, a whole number, true or false, found {}", path,
          value.type_name());
  return value.dump();
}

}  // namespace

std::string first_name(std::string_view path) {
  const std::string_view step = path.substr(0, path.find('.'));
  return std::string(step.ends_with(kEach) ? step.substr(0, step.size() - kEach.size()) : step);
}

bool has_field(const json& item, std::string_view path) {
  return item.is_object() && item.contains(first_name(path));
}

std::string field_names(const json& item) {
  const std::vector<std::string> names = names_of(item);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

FieldValue find_value(const json& item, std::string_view path) {
  std::vector<const json*> found = {&item};
  FieldValue value;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view step = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(rest.size(), step.size() + 1));
    std::vector<const json*> next;
    for (const json* object : found) {
      const json& one = member(*object, first_name(step));
      if (!step.ends_with(kEach)) {
        next.push_back(&one);
        continue;
      }
      require(one.is_array(), "\"{}\": expected a list, found {}", step, one.type_name());
      for (const json& element : one) next.push_back(&element);
      value.is_list = true;
    }
    found = std::move(next);
  }
  const bool last_is_list = !value.is_list && found.front()->is_array();
  value.is_list = value.is_list || last_is_list;
  if (last_is_list)
    for (const json& element : *found.front()) value.texts.push_back(text_of(element, path));
  else
    for (const json* each : found) value.texts.push_back(text_of(*each, path));
  return value;
}

}  // namespace halftone
