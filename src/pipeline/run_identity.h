// What decides the result of a run, and what of it another run had otherwise.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "pipeline/opened_model.h"
#include "pipeline/quantize_request.h"
#include "report/run_report.h"

namespace halftone {

// Two runs of the same identity give the same bytes on one
// machine, as far as a sample of the weights tells models apart. It costs a look at every tensor.
RunIdentity run_identity(const QuantizeRequest& request, const OpenedModel& model,
                         const std::optional<CalibrationIdentity>& calibration,
                         const Execution& execution, double least_scale);

// Of an identity, or a report, what decides the result: where the texts lie and what the recipe is
// called change nothing.
nlohmann::json comparable(nlohmann::json identity);

// What of `identity` another run had otherwise: "threads: then 2, now 1"; empty if nothing. Both
// are comparable.
std::string first_change(const nlohmann::json& begun, const nlohmann::json& identity);

}  // namespace halftone
