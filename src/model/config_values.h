// Single values of config.json, checked: for the families' own keys. Errors name the key, what was
// expected and what was found.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

bool given(const nlohmann::json& object, const char* key);  // there, and not null
std::string shown(const nlohmann::json& value);             // for a message
int64_t positive(const nlohmann::json& object, const char* key);
int64_t positive_or(const nlohmann::json& object, const char* key, int64_t otherwise);
double number_or(const nlohmann::json& object, const char* key, double otherwise);  // above 0
bool flag_or(const nlohmann::json& object, const char* key, bool otherwise);
std::string text_or(const nlohmann::json& object, const char* key, const std::string& otherwise);

}  // namespace halftone
