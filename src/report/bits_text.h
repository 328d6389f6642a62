// The three counts of bits per weight (pipeline/bits.h) in words, the same wherever they are shown.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/written_totals.h"

namespace halftone {

// "3.371 (quoted as 3.300)": stored bits of the quantized linears, and the papers' count of the
// same where it differs; "-" without a count.   report: has bits_per_weight {quantized, quoted}
std::string bits_text(const nlohmann::json& report);
std::string bits_text(const BitsPerWeight& bits);

}  // namespace halftone
