#include "text/jinja/values.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"

namespace halftone::jinja {
namespace {

constexpr int kMostNested = 64;
constexpr size_t kMostCharacters = size_t{1} << 20;  // of a text, each as a value: some 50 bytes

// Of the character there; a byte that begins none is one too.
size_t bytes_at(std::string_view text, size_t at) {
  return std::max<size_t>(utf8_length_at(text, at), 1);
}

// Where so many characters end, or the text.
size_t bytes_of(std::string_view text, size_t characters) {
  size_t at = 0;
  for (; characters > 0 && at < text.size(); --characters) at += bytes_at(text, at);
  return at;
}

// As repr() of Python writes it.
std::string real_text(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

int64_t whole_of(const Value& value) {
  return value.is_boolean() ? int64_t{value.get<bool>()} : value.get<int64_t>();
}

bool is_whole(const Value& value) {
  return value.is_number_integer() || value.is_boolean();
}

[[noreturn]] void cannot(std::string_view sign, const Value& left, const Value& right) {
  fail("{} {} {} is not known here", kind_of(left), sign, kind_of(right));
}

Value sum_of(const Value& left, const Value& right) {
  if (left.is_string() && right.is_string())
    return left.get<std::string>() + right.get<std::string>();
  if (left.is_array() && right.is_array()) {
    Value all = left;
    all.insert(all.end(), right.begin(), right.end());
    return all;
  }
  cannot("+", left, right);
}

// Python's // and %: towards minus infinity.
Value whole_arithmetic(std::string_view sign, int64_t left, int64_t right) {
  int64_t result = 0;
  bool over = false;
  if (sign == "+") over = __builtin_add_overflow(left, right, &result);
  if (sign == "-") over = __builtin_sub_overflow(left, right, &result);
  if (sign == "*") over = __builtin_mul_overflow(left, right, &result);
  require(!over, "{} {} {}: too large a number", left, sign, right);
  if (sign != "//" && sign != "%") return result;
  require(right != 0 && !(right == -1 && left == std::numeric_limits<int64_t>::min()),
          "{} {} {}: expected another divisor", left, sign, right);
  const int64_t rest = left % right;
  const bool below = rest != 0 && (rest < 0) != (right < 0);
  return sign == "%" ? rest + (below ? right : 0) : left / right - (below ? 1 : 0);
}

Value arithmetic(std::string_view sign, const Value& left, const Value& right) {
  if (!(left.is_number() || left.is_boolean()) || !(right.is_number() || right.is_boolean())) {
    if (sign == "+") return sum_of(left, right);
    cannot(sign, left, right);
  }
  if (is_whole(left) && is_whole(right) && sign != "/")
    return whole_arithmetic(sign, whole_of(left), whole_of(right));
  const double a = is_whole(left) ? static_cast<double>(whole_of(left)) : left.get<double>();
  const double b = is_whole(right) ? static_cast<double>(whole_of(right)) : right.get<double>();
  if (sign == "+") return a + b;
  if (sign == "-") return a - b;
  if (sign == "*") return a * b;
  if (sign == "/" && b != 0) return a / b;
  cannot(sign, left, right);
}

bool contains(const Value& whole, const Value& part) {
  if (whole.is_string() && part.is_string())
    return find_text(whole.get_ref<const std::string&>(), part.get_ref<const std::string&>(), 0) !=
           std::string::npos;
  if (whole.is_object()) return part.is_string() && whole.contains(part.get<std::string>());
  if (whole.is_array()) return std::ranges::find(whole, part) != whole.end();
  cannot("in", part, whole);
}

bool less(std::string_view sign, const Value& left, const Value& right) {
  const bool numbers = left.is_number() && right.is_number();
  if (!numbers && !(left.is_string() && right.is_string())) cannot(sign, left, right);
  return left < right;
}

void put_json(std::string& out, const Value& value, int indent, int depth) {
  const auto line = [&](int level) {
    if (indent >= 0) out += '\n' + std::string(static_cast<size_t>(indent * level), ' ');
  };
  const char* between = indent >= 0 ? "," : ", ";
  if (value.is_object() || value.is_array()) {
    if (value.empty()) {
      out += value.is_object() ? "{}" : "[]";
      return;
    }
    out += value.is_object() ? '{' : '[';
    bool first = true;
    for (const auto& [key, part] : value.items()) {
      if (!first) out += between;
      first = false;
      line(depth + 1);
      if (value.is_object()) out += Value(key).dump() + ": ";
      put_json(out, part, indent, depth + 1);
    }
    line(depth);
    out += value.is_object() ? '}' : ']';
    return;
  }
  require(!is_undefined(value), "tojson: the value is undefined");
  out += value.is_number_float() ? real_text(value.get<double>()) : value.dump();
}

size_t weight_below(const Value& value, int depth) {
  require(depth <= kMostNested, "lists and dicts are nested deeper than {}", kMostNested);
  if (value.is_string()) return sizeof(Value) + value.get_ref<const std::string&>().size();
  if (!value.is_structured()) return sizeof(Value);
  size_t bytes = sizeof(Value);
  for (const auto& [key, part] : value.items()) bytes += weight_below(part, depth + 1);
  return bytes;
}

// Where an index from the end, or beyond it, comes to in [least, most].
int64_t clamped(const Value& index, int64_t otherwise, int64_t size, int64_t least, int64_t most) {
  if (index.is_null()) return otherwise;
  require(index.is_number_integer(), "expected whole numbers in a slice, found {}", kind_of(index));
  const auto at = index.get<int64_t>();
  return std::clamp(at < 0 ? at + size : at, least, most);
}

}  // namespace

size_t find_text(std::string_view text, std::string_view part, size_t at) {
  const void* found = ::memmem(text.data() + at, text.size() - at, part.data(), part.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t weight_of(const Value& value) {
  return weight_below(value, 0);
}

bool is_true(const Value& value) {
  switch (value.type()) {
    case Value::value_t::boolean:
      return value.get<bool>();
    case Value::value_t::number_integer:
    case Value::value_t::number_unsigned:
      return value.get<int64_t>() != 0;
    case Value::value_t::number_float:
      return value.get<double>() != 0;
    case Value::value_t::string:
      return !value.get_ref<const std::string&>().empty();
    case Value::value_t::array:
    case Value::value_t::object:
      return !value.empty();
    default:
      return false;
  }
}

std::string text_of(const Value& value) {
  if (is_undefined(value)) return "";
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return real_text(value.get<double>());
  require(value.is_number(), "{} cannot be written out as it is (tojson writes it)",
          kind_of(value));
  return value.dump();
}

std::string json_of(const Value& value, int indent) {
  std::string out;
  put_json(out, value, indent, 0);
  return out;
}

std::string_view kind_of(const Value& value) {
  switch (value.type()) {
    case Value::value_t::null:
      return "none";
    case Value::value_t::boolean:
      return "a truth value";
    case Value::value_t::string:
      return "a text";
    case Value::value_t::array:
      return "a list";
    case Value::value_t::object:
      return "a dict";
    case Value::value_t::discarded:
      return "nothing (undefined)";
    default:
      return "a number";
  }
}

Value item_of(const Value& value, const Value& key) {
  require(!is_undefined(value), "nothing (undefined) has no {}",
          key.is_string() ? printable(key.get<std::string>()) : "items");
  if (value.is_object() && key.is_string()) {
    const auto found = value.find(key.get<std::string>());
    return found == value.end() ? undefined() : *found;
  }
  if (!(value.is_array() || value.is_string()) || !key.is_number_integer()) return undefined();
  const auto size = static_cast<int64_t>(size_of(value));
  int64_t at = key.get<int64_t>();
  if (at < 0) at += size;
  if (at < 0 || at >= size) return undefined();
  if (value.is_array()) return value[static_cast<size_t>(at)];
  const auto& text = value.get_ref<const std::string&>();
  const size_t begin = bytes_of(text, static_cast<size_t>(at));
  return text.substr(begin, bytes_at(text, begin));
}

Value slice_of(const Value& value, const Value& begin, const Value& end, const Value& step) {
  require(value.is_array() || value.is_string(),
          "expected a list or a text to take a slice of, found {}", kind_of(value));
  const auto size = static_cast<int64_t>(size_of(value));
  require(step.is_null() || step.is_number_integer(), "expected whole numbers in a slice, found {}",
          kind_of(step));
  const int64_t by = step.is_null() ? 1 : step.get<int64_t>();
  require(by != 0 && -size - 1 <= by && by <= size + 1, "a slice in steps of {}: expected others",
          by);
  const bool forward = by > 0;
  const int64_t least = forward ? 0 : -1, most = forward ? size : size - 1;
  const int64_t first = clamped(begin, forward ? 0 : size - 1, size, least, most);
  const int64_t last = clamped(end, forward ? size : -1, size, least, most);
  if (value.is_string() && by == 1) {
    const auto& whole = value.get_ref<const std::string&>();
    const size_t start = bytes_of(whole, static_cast<size_t>(first));
    const auto count = static_cast<size_t>(std::max<int64_t>(last - first, 0));
    return whole.substr(start, bytes_of(std::string_view(whole).substr(start), count));
  }
  const std::vector<Value> parts = elements_of(value);
  Value taken = Value::array();
  std::string text;
  for (int64_t at = first; forward ? at < last : at > last; at += by) {
    const Value& part = parts[static_cast<size_t>(at)];
    if (value.is_string())
      text += part.get_ref<const std::string&>();
    else
      taken.push_back(part);
  }
  return value.is_string() ? Value(text) : taken;
}

Value combined(std::string_view sign, const Value& left, const Value& right) {
  if (sign == "~") return text_of(left) + text_of(right);
  if (sign == "==")
    return is_undefined(left) || is_undefined(right) ? is_undefined(left) && is_undefined(right)
                                                     : left == right;
  if (sign == "!=") return !combined("==", left, right).get<bool>();
  if (sign == "in") return contains(right, left);
  if (sign == "not in") return !contains(right, left);
  if (sign == "<") return less(sign, left, right);
  if (sign == ">") return less(sign, right, left);
  if (sign == "<=") return !less(sign, right, left);
  if (sign == ">=") return !less(sign, left, right);
  return arithmetic(sign, left, right);
}

size_t size_of(const Value& value) {
  if (!value.is_string()) return value.is_structured() ? value.size() : elements_of(value).size();
  const auto& text = value.get_ref<const std::string&>();
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += bytes_at(text, at)) ++count;
  return count;
}

std::vector<Value> elements_of(const Value& value) {
  std::vector<Value> parts;
  if (value.is_array()) {
    parts.assign(value.begin(), value.end());
  } else if (value.is_object()) {
    for (const auto& [key, part] : value.items()) parts.emplace_back(key);
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    require(text.size() <= kMostCharacters, "expected a text of at most {} bytes to go through",
            kMostCharacters);
    for (size_t at = 0, size = 0; at < text.size(); at += size) {
      size = bytes_at(text, at);
      parts.emplace_back(text.substr(at, size));
    }
  } else {
    fail("expected a list, a dict or a text to go through, found {}", kind_of(value));
  }
  return parts;
}

}  // namespace halftone::jinja
