// What a quantization did, as text and as a page.
#pragma once

#include <string>

#include "report/run_report.h"

namespace halftone {

// A few lines for the terminal: format, sizes, bits per weight, read-back, error, fallbacks, time.
std::string quantize_text(const RunReport& report);

// One page that needs nothing else: totals, a bar chart of the relative error, a row per linear,
// the recipe.
std::string quantize_html(const RunReport& report);

}  // namespace halftone
