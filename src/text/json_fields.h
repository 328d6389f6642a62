// Reading settings out of JSON that may be wrong in any way: a missing or ill-typed field is an
// Error that names it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace halftone {

using Json = nlohmann::json;

// Errors: not JSON (with the place), or nested deeper than anything that is meant.
Json parse_json(std::string_view text);

// The field, or null where it is absent or JSON null. Error: `object` is no JSON object.
const Json* find_field(const Json& object, const char* name);

// The field's value. Errors: absent, another type.
const Json& require_field(const Json& object, const char* name);
std::string string_field(const Json& object, const char* name);
const Json& array_field(const Json& object, const char* name);
int64_t integer_field(const Json& object, const char* name);

// The field's value, or the default where it is absent or null. Error: another type.
bool bool_field(const Json& object, const char* name, bool otherwise);
std::optional<std::string> optional_string_field(const Json& object, const char* name);

// A non-negative integer. Error: anything else ("token "x": ...").
int64_t json_to_count(const Json& value, std::string_view place);

}  // namespace halftone
