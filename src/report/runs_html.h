// Several runs and evaluations on one page: the `report` command without its reading.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/run_report.h"

namespace halftone {

// A model, and what is known of it.
struct ReportedModel {
  std::string name;
  std::optional<RunReport> run;             // that made it
  std::vector<nlohmann::json> evaluations;  // one object each, as `evaluate --json` writes it
};

// Size against KL with every model that has both, a plot a text; tables; what was done to each, the
// errors of its linears; protocols and hashes.
std::string runs_html(const std::vector<ReportedModel>& models);

}  // namespace halftone
