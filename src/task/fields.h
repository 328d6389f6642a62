// The fields of an item, found by their path: "goal", "choices.text", "question.choices[].text".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

struct FieldValue {
  std::vector<std::string> texts;  // strings as they are, whole numbers in decimal
  bool is_list = false;
};

// "a.b" is b of a; "a[].b" the list of the b of a's elements. Errors: no such field (it lists
// those that are there), something else than texts, whole numbers or a list of them.
FieldValue find_value(const nlohmann::json& item, std::string_view path);

// The first name of a path, and whether the item has it.
std::string first_name(std::string_view path);
bool has_field(const nlohmann::json& item, std::string_view path);

// "goal, sol1, sol2": what an item holds, for messages.
std::string field_names(const nlohmann::json& item);

}  // namespace halftone
