#include "text/json_fields.h"

#include <cstdint>
#include <limits>

#include "base/error.h"

namespace halftone {
namespace {

constexpr int kMostNested = 500;  // a copy calls itself for each

[[noreturn]] void wrong_type(const char* name, const char* expected, const Json& found) {
  fail("\"{}\": expected {}, found {}", name, expected, found.type_name());
}

}  // namespace

Json parse_json(std::string_view text) {
  const auto is_shallow = [](int depth, Json::parse_event_t, const Json&) {
    require(depth <= kMostNested, "not valid JSON: nested deeper than {} levels", kMostNested);
    return true;
  };
  try {
    return Json::parse(text, is_shallow);
  } catch (const Json::exception& error) {
    fail("not valid JSON: {}", printable(error.what(), 160));
  }
}

const Json* find_field(const Json& object, const char* name) {
  require(object.is_object(), "expected a JSON object with \"{}\", found {}", name,
          object.type_name());
  const auto at = object.find(name);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

const Json& require_field(const Json& object, const char* name) {
  const Json* field = find_field(object, name);
  require(field != nullptr, "\"{}\" is missing", name);
  return *field;
}

std::string string_field(const Json& object, const char* name) {
  const Json& field = require_field(object, name);
  if (!field.is_string()) wrong_type(name, "a string", field);
  return field.get<std::string>();
}

const Json& array_field(const Json& object, const char* name) {
  const Json& field = require_field(object, name);
  if (!field.is_array()) wrong_type(name, "an array", field);
  return field;
}

int64_t integer_field(const Json& object, const char* name) {
  return json_to_count(require_field(object, name), name);
}

bool bool_field(const Json& object, const char* name, bool otherwise) {
  const Json* field = find_field(object, name);
  if (field == nullptr) return otherwise;
  if (!field->is_boolean()) wrong_type(name, "true or false", *field);
  return field->get<bool>();
}

std::optional<std::string> optional_string_field(const Json& object, const char* name) {
  if (find_field(object, name) == nullptr) return std::nullopt;
  return string_field(object, name);
}

int64_t json_to_count(const Json& value, std::string_view place) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<uint64_t>() <= std::numeric_limits<int64_t>::max()
                        : value.is_number_integer() && value.get<int64_t>() >= 0;
  require(fits, "\"{}\": expected an integer from 0 on, found {}", printable(place),
          value.is_number() ? value.dump() : value.type_name());
  return value.get<int64_t>();
}

}  // namespace halftone
