// Single values of config.json, checked: for the families' own keys. Errors name the key, what was
// expected and what was found.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"

namespace halftone {

bool given(const nlohmann::json& object, const char* key);  // there, and not null
std::string shown(const nlohmann::json& value);             // for a message
int64_t positive(const nlohmann::json& object, const char* key);
int64_t positive_or(const nlohmann::json& object, const char* key, int64_t otherwise);
double number_or(const nlohmann::json& object, const char* key, double otherwise);  // above 0
bool flag_or(const nlohmann::json& object, const char* key, bool otherwise);
std::string text_or(const nlohmann::json& object, const char* key, const std::string& otherwise);

// A number above 0 if the key is there, 0 if it is null, `otherwise` if it is absent.
double number_or_none(const nlohmann::json& object, const char* key, double otherwise);
// The config with what a configuration class fills in for absent keys; a key that is null stays so.
nlohmann::json with_defaults(
    nlohmann::json config, std::initializer_list<std::pair<const char*, nlohmann::json>> defaults);
// By layer, whether it has the window: as `layer_types` lists it, else as `otherwise` says.
std::vector<bool> windowed_layers(const nlohmann::json& config, int64_t layers,
                                  const std::function<bool(int64_t layer)>& otherwise);
// The function by the library's name of it. Errors: one that is not known.
Activation activation_or(const nlohmann::json& object, const char* key,
                         const std::string& otherwise);

}  // namespace halftone
