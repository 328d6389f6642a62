// Reading TOML: every key is known and has its type, or an Error says the line.
#pragma once

// The library's assertions do not hold for every text ("[" at the end of a line), and its checks
// stand behind them: it does without.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

std::string line_of(const toml::node& node);
std::string kind_of(const toml::node& node);  // "a list", to be told what was found

// Error: what is no TOML, with its line.
toml::table parse_toml(std::string_view text);

// Error: a key that is none of `known`; it lists them.
void require_known_keys(const toml::table& table, std::initializer_list<const char*> known);

// The value of a key. Errors: absent (where the table begins), another type.
const toml::node& require_key(const toml::table& table, const char* key);
std::string require_string(const toml::node& node, const char* key);
std::vector<const toml::node*> require_list(const toml::node& node, const char* key);

// The same of a key that may be absent.
std::optional<std::string> find_string(const toml::table& table, const char* key);

// The tables of [[key]], one at least; find_tables: where there are any.
std::vector<const toml::table*> require_tables(const toml::table& table, const char* key);
std::vector<const toml::table*> find_tables(const toml::table& table, const char* key);

}  // namespace halftone
