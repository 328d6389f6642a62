// What templates do with values: Python's rules for truth, text, items, comparison and arithmetic.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/tree.h"

namespace halftone::jinja {

inline constexpr size_t kMostBytes = size_t{1} << 26;  // of a value, and of what is written

inline Value undefined() {
  return Value(Value::value_t::discarded);
}
inline bool is_undefined(const Value& value) {
  return value.is_discarded();
}

// Bytes, all of its parts included. Error: nested deeper than any chat is.
size_t weight_of(const Value& value);

bool is_true(const Value& value);

// As it is written out: None, True, 1.5, texts as they are, nothing where it is undefined. Error: a
// list or a dict.
std::string text_of(const Value& value);

// As json.dumps(value, ensure_ascii=False, indent=indent) of Python writes it; indent < 0: on one
// line.
std::string json_of(const Value& value, int indent);

// What a message calls it: "a text", "a number", ...
std::string_view kind_of(const Value& value);

// Undefined where there is no such item. Errors: of what has no items.
Value item_of(const Value& value, const Value& key);

// Python's value[begin:end:step]; null where left out.
Value slice_of(const Value& value, const Value& begin, const Value& end, const Value& step);

// sign: + - * / // % ~ == != < > <= >= in, "not in".   Errors: of values that it is not for.
Value combined(std::string_view sign, const Value& left, const Value& right);

// What `for` goes through: a list's values, a dict's keys, a text's characters. Errors: of anything
// else; more characters than any template goes through one by one.
std::vector<Value> elements_of(const Value& value);
// How many those are, of texts of any length.
size_t size_of(const Value& value);

// As std::string_view::find, in time that grows with the text and not with the part as well.
size_t find_text(std::string_view text, std::string_view part, size_t at);

}  // namespace halftone::jinja
