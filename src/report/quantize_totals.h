// The lines above the list of linears, shared by the text and the page.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "report/run_report.h"

namespace halftone {

// {"bits per weight", "4.250 in the quantized linears, ..."}, in the order in which they are shown.
std::vector<std::pair<std::string, std::string>> quantize_totals(const RunReport& report);

}  // namespace halftone
