// Memory and time of a run, by the arithmetic of methods.md 12.3.
#pragma once

#include <vector>

#include "pipeline/quantize_job.h"
#include "report/plan_report.h"

namespace halftone {

// Tokens that the run calibrates on: as many as it asks for.
int64_t calibration_tokens(const QuantizeJob& job);

// Bytes in the moment that needs most.
std::vector<PlanReport::Share> memory_of_run(const QuantizeJob& job);
double peak_of_run(const QuantizeJob& job);  // their sum

// Seconds by what they go into, at the rates of this machine as it is now: a product and the solve
// of a small linear of each grid are timed.
std::vector<PlanReport::Share> time_of_run(const QuantizeJob& job);

}  // namespace halftone
