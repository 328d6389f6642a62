// How a recipe's key is made from the field it sets, one function a type of value. The field is one
// of a LinearSettings, unless the call says <ModelRecipe>.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "recipe/keys.h"

namespace halftone {

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// 1.0 stays a TOML float, shortest form that reads back to the same value.
inline std::string float_text(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

// `field` maps settings to the member (const or not).
template <class Settings = LinearSettings, class Field>
RecipeKey integer_key(std::string name, std::string help, std::string expected,
                      std::function<bool(int64_t)> allowed, Field field) {
  return {std::move(name), std::move(help), std::move(expected), false,
          KeyAccess<Settings>{
              [=](Settings& settings, std::string_view text) {
                const auto value = parse_number<int64_t>(text);
                if (!value || !allowed(*value)) return false;
                field(settings) = static_cast<std::decay_t<decltype(field(settings))>>(*value);
                return true;
              },
              [=](const Settings& settings) { return fmt::format("{}", field(settings)); }}};
}

template <class Settings = LinearSettings, class Field>
RecipeKey number_key(std::string name, std::string help, std::string expected,
                     std::function<bool(double)> allowed, Field field) {
  return {
      std::move(name), std::move(help), std::move(expected), false,
      KeyAccess<Settings>{[=](Settings& settings, std::string_view text) {
                            const auto value = parse_number<double>(text);
                            if (!value || !allowed(*value)) return false;
                            field(settings) = *value;
                            return true;
                          },
                          [=](const Settings& settings) { return float_text(field(settings)); }}};
}

template <class Settings = LinearSettings, class Field>
RecipeKey integer_key(std::string name, std::string help, Range range, Field field) {
  return integer_key<Settings>(
      std::move(name), std::move(help),
      fmt::format("an integer in {:g} .. {:g}", range.least, range.most),
      [=](int64_t value) { return range.holds(static_cast<double>(value)); }, field);
}

template <class Settings = LinearSettings, class Field>
RecipeKey number_key(std::string name, std::string help, Range range, Field field) {
  return number_key<Settings>(
      std::move(name), std::move(help),
      fmt::format("a number in {:g} .. {:g}", range.least, range.most),
      [=](double value) { return range.holds(value); }, field);
}

template <class Settings = LinearSettings, class Field>
RecipeKey boolean_key(std::string name, std::string help, Field field) {
  return {std::move(name), std::move(help), "true or false", false,
          KeyAccess<Settings>{
              [=](Settings& settings, std::string_view text) {
                if (text != "true" && text != "false") return false;
                field(settings) = text == "true";
                return true;
              },
              [=](const Settings& settings) { return field(settings) ? "true" : "false"; }}};
}

template <class Kind>
using Words = std::vector<std::pair<std::string_view, Kind>>;

// One of the listed words; new kinds are one more pair in the list at the call.
template <class Kind, class Settings = LinearSettings, class Field>
RecipeKey word_key(std::string name, std::string help, Words<Kind> words, Field field) {
  std::string list;
  for (const auto& [word, kind] : words)
    list += fmt::format("{}\"{}\"", list.empty() ? "" : " or ", word);
  return {std::move(name), std::move(help), list, true,
          KeyAccess<Settings>{
              [=](Settings& settings, std::string_view text) {
                for (const auto& [word, kind] : words)
                  if (word == text) return field(settings) = kind, true;
                return false;
              },
              [=](const Settings& settings) {
                const auto known = [&](const auto& word) { return word.second == field(settings); };
                return fmt::format("\"{}\"",
                                   std::find_if(words.begin(), words.end(), known)->first);
              }}};
}

}  // namespace halftone
