// The numbers of a report by name: "kl.mean" is report["kl"]["mean"].
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

// Nothing if there is no such number. A JSON null below the name counts as NaN (that is how JSON
// writes one).
std::optional<double> find_metric(const nlohmann::json& report, std::string_view name);

// The string at a name, or "".
std::string find_text(const nlohmann::json& report, std::string_view name);

// The lines under "notes".
std::vector<std::string> notes_in(const nlohmann::json& report);

// Every number's name, in the order of the report.
std::vector<std::string> metric_names(const nlohmann::json& report);

}  // namespace halftone
