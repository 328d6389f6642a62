// JSON texts read strictly: no key twice in an object, no deep nesting, nothing after the value, no
// NUL, no byte order mark, valid UTF-8. The pieces are handed over one by one, so a reader keeps
// only what it wants.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace halftone {

// What a JSON text is made of, in the order of the text. A method refuses its piece by throwing
// Error.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void open(bool is_object) = 0;  // an object or an array begins
  virtual void close() = 0;               // and ends
  virtual void key(std::string&& name) = 0;
  // A string, number (unsigned, or signed if written with a minus, or floating), boolean or null.
  virtual void scalar(nlohmann::json&& value) = 0;
};

inline constexpr size_t kMaxJsonDepth = 64;  // open objects and arrays

// Errors: not JSON (with the place), or refused by the rules above.
void read_strict_json(std::string_view text, JsonEvents& events);

nlohmann::json parse_strict_json(std::string_view text);

}  // namespace halftone
