// Typed reading of a JSON object that came from outside: every value is checked, every error names
// its place.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

// A view of one object; the JSON must outlive it. A key whose value is null counts as absent.
class ConfigFields {
 public:
  // place: "config.json: quantization_config". Error unless `value` is an object.
  ConfigFields(const nlohmann::json& value, std::string place);

  bool has(std::string_view key) const;
  const nlohmann::json& value(std::string_view key) const;  // Error if absent
  ConfigFields object(std::string_view key) const;
  int64_t integer(std::string_view key, int64_t least, int64_t most) const;
  bool boolean(std::string_view key) const;
  bool boolean_or(std::string_view key, bool fallback) const;
  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;

  // Error if the value is anything but one of these (an absent key is fine).
  void require_one_of(std::string_view key, std::initializer_list<std::string_view> known) const;
  // Error if the key holds anything but null, {} or [].
  void require_empty(std::string_view key, std::string_view why) const;
  // Error on a key that is not listed.
  void require_known(const std::vector<std::string_view>& known) const;

  const std::string& place() const { return place_; }
  const nlohmann::json& json() const { return *json_; }

 private:
  [[noreturn]] void wrong(std::string_view key, std::string_view expected) const;

  const nlohmann::json* json_;
  std::string place_;
};

}  // namespace halftone
