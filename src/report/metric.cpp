#include "report/metric.h"

#include <limits>

namespace halftone {
namespace {

const nlohmann::json* find(const nlohmann::json& report, std::string_view name) {
  const nlohmann::json* at = &report;
  while (!name.empty()) {
    const size_t dot = name.find('.');
    const auto child = at->is_object() ? at->find(std::string(name.substr(0, dot))) : at->end();
    if (!at->is_object() || child == at->end()) return nullptr;
    at = &*child;
    name = dot == std::string_view::npos ? "" : name.substr(dot + 1);
  }
  return at;
}

void add_names(const nlohmann::json& value, const std::string& prefix,
               std::vector<std::string>& names) {
  for (const auto& [key, child] : value.items()) {
    const std::string name = prefix.empty() ? key : prefix + '.' + key;
    if (child.is_object()) add_names(child, name, names);
    if (child.is_number()) names.push_back(name);
  }
}

}  // namespace

std::optional<double> find_metric(const nlohmann::json& report, std::string_view name) {
  const nlohmann::json* value = find(report, name);
  if (value != nullptr && value->is_number()) return value->get<double>();
  if (value != nullptr && value->is_null()) return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::string find_text(const nlohmann::json& report, std::string_view name) {
  const nlohmann::json* value = find(report, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

std::vector<std::string> notes_in(const nlohmann::json& report) {
  std::vector<std::string> notes;
  const nlohmann::json* list = find(report, "notes");
  if (list == nullptr || !list->is_array()) return notes;
  for (const nlohmann::json& note : *list)
    if (note.is_string()) notes.push_back(note.get<std::string>());
  return notes;
}

std::vector<std::string> metric_names(const nlohmann::json& report) {
  std::vector<std::string> names;
  if (report.is_object()) add_names(report, "", names);
  return names;
}

}  // namespace halftone
