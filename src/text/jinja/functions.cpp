#include "text/jinja/functions.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/utf8.h"
#include "text/characters.h"
#include "text/jinja/values.h"
#include "text/white_space.h"

namespace halftone::jinja {
namespace {

using Function = std::function<Value(const Value& value, const Given& given)>;

const std::string& text(const Value& value) {
  require(value.is_string(), "expected a text, found {}", kind_of(value));
  return value.get_ref<const std::string&>();
}

// ASCII alone, as the words of templates are; other letters stay.
std::string in_case(std::string words, int (*change)(int)) {
  for (char& c : words)
    if (static_cast<unsigned char>(c) < 0x80) c = static_cast<char>(change(c));
  return words;
}

std::string capitalized(const std::string& words) {
  std::string all = in_case(words, ::tolower);
  if (!all.empty()) all[0] = in_case(all.substr(0, 1), ::toupper)[0];
  return all;
}

std::string titled(const std::string& words) {
  std::string all = in_case(words, ::tolower);
  bool inside = false;
  for (char& c : all) {
    const bool letter = static_cast<unsigned char>(c) >= 0x80 || ::isalpha(c);
    if (letter && !inside) c = in_case({c}, ::toupper)[0];
    inside = letter;
  }
  return all;
}

// Characters of valid UTF-8, each as its bytes.
std::set<std::string_view> characters_of(std::string_view words) {
  std::set<std::string_view> all;
  for (size_t at = 0, size = 0; at < words.size(); at += size)
    all.insert(words.substr(at, size = std::max<size_t>(utf8_length_at(words, at), 1)));
  return all;
}

// Without those of the characters that stand at the start and the end as asked.
std::string_view without(const std::set<std::string_view>& characters, std::string_view words,
                         bool start, bool end) {
  while (start && !words.empty()) {
    const size_t size = std::max<size_t>(utf8_length_at(words, 0), 1);
    if (!characters.contains(words.substr(0, size))) break;
    words.remove_prefix(size);
  }
  while (end && !words.empty()) {
    const size_t last = previous_character(words, words.size());
    if (!characters.contains(words.substr(last))) break;
    words = words.substr(0, last);
  }
  return words;
}

// Without white space, or the characters given, at the start and the end as asked.
std::string trimmed(const std::string& words, const Value& characters, bool start, bool end) {
  const std::string_view left = words;
  if (!is_undefined(characters) && !characters.is_null())
    return std::string(without(characters_of(text(characters)), left, start, end));
  const std::string_view no_end = without_trailing_space(left), both = stripped(left);
  if (start && end) return std::string(both);
  if (end) return std::string(no_end);
  return std::string(left.substr(no_end.size() - both.size()));
}

std::string replaced(const std::string& words, const std::string& from, const std::string& to,
                     int64_t most) {
  require(!from.empty(), "expected a text to be replaced, found nothing");
  std::string out;
  size_t at = 0;
  for (size_t next = 0; most != 0 && (next = find_text(words, from, at)) != std::string::npos;
       --most) {
    out.append(words, at, next - at).append(to);
    at = next + from.size();
    require(out.size() <= kMostBytes, "the text grew beyond {} bytes", kMostBytes);
  }
  return out.append(words, at);
}

Value pieces(const std::string& words, const Value& separator, int64_t most) {
  Value all = Value::array();
  std::string_view left = words;
  if (is_undefined(separator) || separator.is_null()) {
    for (left = stripped(left); !left.empty(); left = stripped(left)) {
      size_t end =
          most == 0 ? left.size() : std::min(left.find_first_of(" \t\n\r\v\f"), left.size());
      all.push_back(std::string(left.substr(0, end)));
      left.remove_prefix(end);
      --most;
    }
    return all;
  }
  const std::string& by = text(separator);
  require(!by.empty(), "split: expected a text to split at, found nothing");
  for (size_t at = 0; most != 0 && (at = find_text(left, by, 0)) != std::string_view::npos;
       --most) {
    all.push_back(std::string(left.substr(0, at)));
    left.remove_prefix(at + by.size());
  }
  all.push_back(std::string(left));
  return all;
}

int64_t count_of(const Value& given, int64_t otherwise) {
  if (is_undefined(given)) return otherwise;
  require(given.is_number_integer(), "expected a whole number, found {}", kind_of(given));
  return given.get<int64_t>();
}

// Whether a text begins or ends so; of several any of them.
bool any_of(const Value& parts, const std::function<bool(const std::string&)>& fits) {
  if (parts.is_string()) return fits(text(parts));
  return std::ranges::any_of(elements_of(parts),
                             [&](const Value& part) { return fits(text(part)); });
}

Value pairs_of(const Value& dict) {
  require(dict.is_object(), "items: expected a dict, found {}", kind_of(dict));
  Value all = Value::array();
  for (const auto& [key, value] : dict.items()) all.push_back(Value::array({key, value}));
  return all;
}

Value values_of(const Value& dict) {
  Value all = Value::array();
  for (const auto& [key, value] : dict.items()) all.push_back(value);
  return all;
}

int64_t length_of(const Value& value) {
  return is_undefined(value) ? 0 : static_cast<int64_t>(size_of(value));
}

Value end_of(const Value& value, bool last) {
  const std::vector<Value> parts = elements_of(value);
  return parts.empty() ? undefined() : last ? parts.back() : parts.front();
}

std::string joined(const Value& value, const Value& between, const Value& attribute) {
  std::string all;
  bool first = true;
  for (const Value& part : elements_of(value)) {
    if (!first && !is_undefined(between)) all += text(between);
    first = false;
    all += text_of(is_undefined(attribute) ? part : item_of(part, attribute));
  }
  return all;
}

// selectattr(name[, test[, argument]]) and rejectattr.
Value selected(const Value& value, const Given& given, bool wanted) {
  Value all = Value::array();
  const Value test = given.get(1, "test");
  Given argument;
  if (given.positional.size() > 2) argument.positional.push_back(given.positional[2]);
  for (const Value& part : elements_of(value)) {
    const Value item = item_of(part, given.get(0, "attribute"));
    if ((is_undefined(test) ? is_true(item) : tested(text(test), item, argument)) == wanted)
      all.push_back(part);
  }
  return all;
}

Value mapped(const Value& value, const Given& given) {
  Value all = Value::array();
  const auto named = given.named.find("attribute");
  const Value attribute = named == given.named.end() ? undefined() : named->second;
  const Value filter = given.get(0, "filter");
  for (const Value& part : elements_of(value))
    all.push_back(is_undefined(attribute) ? filtered(text(filter), part, {})
                                          : item_of(part, attribute));
  return all;
}

int64_t truncated(double real) {
  require(std::abs(real) < 0x1p63, "{}: no number or too large a one", real);
  return static_cast<int64_t>(real);
}

// Of a text 0 where it is no number, as Jinja has it.
Value whole_of(const Value& value) {
  if (value.is_number_integer()) return value;
  if (value.is_boolean()) return int64_t{value.get<bool>()};
  if (value.is_number_float()) return truncated(value.get<double>());
  const std::string_view words = stripped(text(value));
  const char* end = words.data() + words.size();
  int64_t whole = 0;
  if (const auto [stop, error] = std::from_chars(words.data(), end, whole);
      error == std::errc() && stop == end)
    return whole;
  double real = 0;
  const auto [stop, error] = std::from_chars(words.data(), end, real);
  return error == std::errc() && stop == end ? truncated(real) : 0;
}

Value list_of(const Value& value) {
  return Value(elements_of(value));
}

const std::map<std::string, Function>& filters() {
  static const std::map<std::string, Function> all = {
      {"trim", [](const Value& v,
                  const Given& g) { return trimmed(text_of(v), g.get(0, "chars"), true, true); }},
      {"tojson",
       [](const Value& v, const Given& g) {
         return json_of(
             v, static_cast<int>(std::clamp<int64_t>(count_of(g.get(0, "indent"), -1), -1, 64)));
       }},
      {"length", [](const Value& v, const Given&) { return length_of(v); }},
      {"count", [](const Value& v, const Given&) { return length_of(v); }},
      {"upper", [](const Value& v, const Given&) { return in_case(text_of(v), ::toupper); }},
      {"lower", [](const Value& v, const Given&) { return in_case(text_of(v), ::tolower); }},
      {"capitalize", [](const Value& v, const Given&) { return capitalized(text_of(v)); }},
      {"title", [](const Value& v, const Given&) { return titled(text_of(v)); }},
      {"string", [](const Value& v, const Given&) { return text_of(v); }},
      {"safe", [](const Value& v, const Given&) { return v; }},
      {"int", [](const Value& v, const Given&) { return whole_of(v); }},
      {"list", [](const Value& v, const Given&) { return list_of(v); }},
      {"items", [](const Value& v, const Given&) { return pairs_of(v); }},
      {"first", [](const Value& v, const Given&) { return end_of(v, false); }},
      {"last", [](const Value& v, const Given&) { return end_of(v, true); }},
      {"join", [](const Value& v,
                  const Given& g) { return joined(v, g.get(0, "d"), g.get(1, "attribute")); }},
      {"replace",
       [](const Value& v, const Given& g) {
         return replaced(text_of(v), text(g.get(0, "old")), text(g.get(1, "new")),
                         count_of(g.get(2, "count"), -1));
       }},
      {"selectattr", [](const Value& v, const Given& g) { return selected(v, g, true); }},
      {"rejectattr", [](const Value& v, const Given& g) { return selected(v, g, false); }},
      {"map", [](const Value& v, const Given& g) { return mapped(v, g); }},
      {"default",
       [](const Value& v, const Given& g) {
         const bool take = is_undefined(v) || (is_true(g.get(1, "boolean")) && !is_true(v));
         return !take                                     ? v
                : is_undefined(g.get(0, "default_value")) ? Value("")
                                                          : g.get(0, "default_value");
       }},
  };
  return all;
}

const std::map<std::string, Function>& text_methods() {
  static const std::map<std::string, Function> all = {
      {"strip",
       [](const Value& v, const Given& g) { return trimmed(text(v), g.get(0, ""), true, true); }},
      {"lstrip",
       [](const Value& v, const Given& g) { return trimmed(text(v), g.get(0, ""), true, false); }},
      {"rstrip",
       [](const Value& v, const Given& g) { return trimmed(text(v), g.get(0, ""), false, true); }},
      {"split",
       [](const Value& v, const Given& g) {
         return pieces(text(v), g.get(0, "sep"), count_of(g.get(1, "maxsplit"), -1));
       }},
      {"startswith",
       [](const Value& v, const Given& g) {
         return any_of(g.get(0, ""),
                       [&](const std::string& part) { return text(v).starts_with(part); });
       }},
      {"endswith",
       [](const Value& v, const Given& g) {
         return any_of(g.get(0, ""),
                       [&](const std::string& part) { return text(v).ends_with(part); });
       }},
      {"replace",
       [](const Value& v, const Given& g) {
         return replaced(text(v), text(g.get(0, "")), text(g.get(1, "")),
                         count_of(g.get(2, "count"), -1));
       }},
      {"upper", [](const Value& v, const Given&) { return in_case(text(v), ::toupper); }},
      {"lower", [](const Value& v, const Given&) { return in_case(text(v), ::tolower); }},
      {"capitalize", [](const Value& v, const Given&) { return capitalized(text(v)); }},
      {"title", [](const Value& v, const Given&) { return titled(text(v)); }},
  };
  return all;
}

const std::map<std::string, Function>& dict_methods() {
  static const std::map<std::string, Function> all = {
      {"items", [](const Value& v, const Given&) { return pairs_of(v); }},
      {"keys", [](const Value& v, const Given&) { return list_of(v); }},
      {"values", [](const Value& v, const Given&) { return values_of(v); }},
      {"get",
       [](const Value& v, const Given& g) {
         const Value found = item_of(v, g.get(0, "key")), otherwise = g.get(1, "default");
         return !is_undefined(found) ? found : is_undefined(otherwise) ? Value(nullptr) : otherwise;
       }},
  };
  return all;
}

}  // namespace

Value Given::get(size_t place, const std::string& name) const {
  if (place < positional.size()) return positional[place];
  const auto found = named.find(name);
  return found == named.end() ? undefined() : found->second;
}

Value filtered(const std::string& filter, const Value& value, const Given& given) {
  const auto found = filters().find(filter == "d" ? "default" : filter);
  require(found != filters().end(), "the filter {} is not known here", printable(filter));
  return with_context(filter, [&] { return found->second(value, given); });
}

bool tested(const std::string& test, const Value& value, const Given& given) {
  if (test == "defined") return !is_undefined(value);
  if (test == "undefined") return is_undefined(value);
  if (test == "none") return value.is_null();
  if (test == "string") return value.is_string();
  if (test == "mapping") return value.is_object();
  if (test == "boolean") return value.is_boolean();
  if (test == "true") return value == Value(true);
  if (test == "false") return value == Value(false);
  if (test == "integer") return value.is_number_integer();
  if (test == "float") return value.is_number_float();
  if (test == "number") return value.is_number() || value.is_boolean();
  if (test == "iterable" || test == "sequence")
    return value.is_array() || value.is_object() || value.is_string();
  for (const auto& [names, sign] : {std::pair{"eq equalto ==", "=="},
                                    {"ne !=", "!="},
                                    {"in", "in"},
                                    {"lt lessthan", "<"},
                                    {"gt greaterthan", ">"}})
    if (fmt::format(" {} ", names).find(fmt::format(" {} ", test)) != std::string::npos)
      return is_true(combined(sign, value, given.get(0, "")));
  fail("the test {} is not known here", printable(test));
}

Value method_of(const Value& value, const std::string& method, const Given& given) {
  const auto& known = value.is_string() ? text_methods() : dict_methods();
  const auto found = known.find(method);
  require((value.is_string() || value.is_object()) && found != known.end(),
          "{} has no method {} that is known here", kind_of(value), printable(method));
  return with_context(method, [&] { return found->second(value, given); });
}

}  // namespace halftone::jinja
