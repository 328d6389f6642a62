#include "checkpoint/gguf_metadata.h"

#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace halftone {
namespace {

constexpr const char* kKindNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};

template <class T>
T number_at(std::string_view bytes, uint64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

std::string kind_of(const GgufValue& value) {
  const char* kind = kKindNames[static_cast<size_t>(value.kind)];
  return value.is_array ? fmt::format("an array of {} {}", value.count, kind) : kind;
}

[[noreturn]] void fail_kind(std::string_view key, const char* expected, const GgufValue& value) {
  fail("{}: expected {}, found {}", printable(key), expected, kind_of(value));
}

bool is_whole(GgufKind kind) {
  return gguf_kind_bytes(kind) > 0 && kind != GgufKind::kF32 && kind != GgufKind::kF64 &&
         kind != GgufKind::kBool;
}

int64_t whole_at(std::string_view key, const GgufValue& value, uint64_t index) {
  switch (value.kind) {
    case GgufKind::kU8:
      return number_at<uint8_t>(value.bytes, index);
    case GgufKind::kI8:
      return number_at<int8_t>(value.bytes, index);
    case GgufKind::kU16:
      return number_at<uint16_t>(value.bytes, index);
    case GgufKind::kI16:
      return number_at<int16_t>(value.bytes, index);
    case GgufKind::kU32:
      return number_at<uint32_t>(value.bytes, index);
    case GgufKind::kI32:
      return number_at<int32_t>(value.bytes, index);
    case GgufKind::kI64:
      return number_at<int64_t>(value.bytes, index);
    default:
      break;
  }
  const auto number = number_at<uint64_t>(value.bytes, index);
  require(number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
          "{}: expected a number below 2^63, found {}", printable(key), number);
  return static_cast<int64_t>(number);
}

double number_at(std::string_view key, const GgufValue& value, uint64_t index) {
  if (value.kind == GgufKind::kF64) return number_at<double>(value.bytes, index);
  if (value.kind == GgufKind::kF32)
    return std::strtod(fmt::format("{}", number_at<float>(value.bytes, index)).c_str(), nullptr);
  return static_cast<double>(whole_at(key, value, index));
}

// The string that `bytes` begin with; its length has been checked.
std::string_view string_at(std::string_view bytes) {
  return bytes.substr(sizeof(uint64_t), number_at<uint64_t>(bytes, 0));
}

}  // namespace

size_t gguf_kind_bytes(GgufKind kind) {
  switch (kind) {
    case GgufKind::kU8:
    case GgufKind::kI8:
    case GgufKind::kBool:
      return 1;
    case GgufKind::kU16:
    case GgufKind::kI16:
      return 2;
    case GgufKind::kU32:
    case GgufKind::kI32:
    case GgufKind::kF32:
      return 4;
    case GgufKind::kU64:
    case GgufKind::kI64:
    case GgufKind::kF64:
      return 8;
    default:
      return 0;
  }
}

bool GgufMetadata::add(std::string_view key, const GgufValue& value) {
  if (!values_.emplace(key, value).second) return false;
  keys_.push_back(key);
  return true;
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<int64_t> GgufMetadata::whole(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (value->is_array || !is_whole(value->kind)) fail_kind(key, "a whole number", *value);
  return whole_at(key, *value, 0);
}

std::optional<double> GgufMetadata::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  const bool floating = value->kind == GgufKind::kF32 || value->kind == GgufKind::kF64;
  if (value->is_array || !(floating || is_whole(value->kind))) fail_kind(key, "a number", *value);
  return number_at(key, *value, 0);
}

std::optional<bool> GgufMetadata::flag(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (value->is_array || value->kind != GgufKind::kBool) fail_kind(key, "a bool", *value);
  return value->bytes.front() != 0;
}

std::optional<std::string_view> GgufMetadata::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (value->is_array || value->kind != GgufKind::kString) fail_kind(key, "a string", *value);
  return string_at(value->bytes);
}

std::optional<std::vector<int64_t>> GgufMetadata::wholes(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (!is_whole(value->kind)) fail_kind(key, "whole numbers", *value);
  std::vector<int64_t> items(value->count);
  for (uint64_t i = 0; i < value->count; ++i) items[i] = whole_at(key, *value, i);
  return items;
}

std::optional<std::vector<double>> GgufMetadata::numbers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  const bool floating = value->kind == GgufKind::kF32 || value->kind == GgufKind::kF64;
  if (!value->is_array || !(floating || is_whole(value->kind)))
    fail_kind(key, "an array of numbers", *value);
  std::vector<double> items(value->count);
  for (uint64_t i = 0; i < value->count; ++i) items[i] = number_at(key, *value, i);
  return items;
}

std::optional<std::vector<std::string_view>> GgufMetadata::texts(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (!value->is_array || value->kind != GgufKind::kString)
    fail_kind(key, "an array of strings", *value);
  std::vector<std::string_view> items;
  items.reserve(value->count);
  std::string_view rest = value->bytes;
  for (uint64_t i = 0; i < value->count; ++i) {
    items.push_back(string_at(rest));
    rest.remove_prefix(sizeof(uint64_t) + items.back().size());
  }
  return items;
}

}  // namespace halftone
