#include "format/config_fields.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace halftone {
namespace {

// One line of a JSON value, whatever is in it.
std::string shown(const nlohmann::json& value) {
  return printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

}  // namespace

ConfigFields::ConfigFields(const nlohmann::json& value, std::string place)
    : json_(&value), place_(std::move(place)) {
  require(value.is_object(), "{}: expected an object, found {}", place_, shown(value));
}

bool ConfigFields::has(std::string_view key) const {
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

const nlohmann::json& ConfigFields::value(std::string_view key) const {
  if (!has(key)) fail("{}: '{}' is missing", place_, key);
  return *json_->find(key);
}

ConfigFields ConfigFields::object(std::string_view key) const {
  return {value(key), fmt::format("{}: {}", place_, key)};
}

int64_t ConfigFields::integer(std::string_view key, int64_t least, int64_t most) const {
  const nlohmann::json& found = value(key);
  const bool fits = found.is_number_integer() &&
                    (!found.is_number_unsigned() || found.get<uint64_t>() <= uint64_t{INT64_MAX}) &&
                    found.get<int64_t>() >= least && found.get<int64_t>() <= most;
  if (!fits) wrong(key, fmt::format("an integer in {} .. {}", least, most));
  return found.get<int64_t>();
}

bool ConfigFields::boolean(std::string_view key) const {
  if (!value(key).is_boolean()) wrong(key, "true or false");
  return value(key).get<bool>();
}

bool ConfigFields::boolean_or(std::string_view key, bool fallback) const {
  return has(key) ? boolean(key) : fallback;
}

std::string ConfigFields::text(std::string_view key) const {
  if (!value(key).is_string()) wrong(key, "a string");
  return value(key).get<std::string>();
}

std::string ConfigFields::text_or(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : std::string(fallback);
}

void ConfigFields::require_one_of(std::string_view key,
                                  std::initializer_list<std::string_view> known) const {
  if (!has(key)) return;
  const std::string found = text(key);
  if (std::find(known.begin(), known.end(), found) != known.end()) return;
  wrong(key, fmt::format("one of {}", fmt::join(known, ", ")));
}

void ConfigFields::require_empty(std::string_view key, std::string_view why) const {
  if (has(key) && !value(key).empty()) wrong(key, fmt::format("nothing ({})", why));
}

void ConfigFields::require_known(const std::vector<std::string_view>& known) const {
  for (const auto& [key, unused] : json_->items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      fail("{}: unknown key '{}'; known: {}", place_, printable(key), fmt::join(known, ", "));
}

void ConfigFields::wrong(std::string_view key, std::string_view expected) const {
  fail("{}: {}: expected {}, found {}", place_, key, expected, shown(value(key)));
}

}  // namespace halftone
