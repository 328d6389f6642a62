// Conditions on a report, for scripts: "kl.mean<0.05,top1.value>0.9".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

enum class Comparison { kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

struct Gate {
  std::string metric;  // "kl.mean"
  Comparison comparison = Comparison::kLess;
  double limit = 0;

  bool operator==(const Gate&) const = default;
};

// NAME<NUMBER, also <=, > and >=, joined by commas; spaces are allowed around each part. Error:
// anything else.
std::vector<Gate> parse_gates(std::string_view text);

struct GateResult {
  bool holds = false;  // a number that is NaN holds nothing
  std::string text;    // "kl.mean < 0.05: 0.0412, holds"
};

// Error: the report has no such number; the message lists those it has.
GateResult check_gate(const Gate& gate, const nlohmann::json& report);

}  // namespace halftone
