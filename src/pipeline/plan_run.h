// What a run is going to cost and to give, from headers alone: bits and bytes as the writers make
// them (stored_sizes.h), memory and time by arithmetic (run_costs.h).
#pragma once

#include "pipeline/quantize_request.h"
#include "report/plan_report.h"

namespace halftone {

// request.out may be empty, request.calibration absent. Errors: what the run itself would refuse
// before it starts, as far as headers show it.
PlanReport plan_run(const QuantizeRequest& request);

}  // namespace halftone
