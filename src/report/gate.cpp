#include "report/gate.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "report/metric.h"

namespace halftone {
namespace {

constexpr size_t kLongestGate = 200;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_metric_name(std::string_view name) {
  const auto is_name_character = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

std::string_view symbol(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess:
      return "<";
    case Comparison::kLessOrEqual:
      return "<=";
    case Comparison::kGreater:
      return ">";
    case Comparison::kGreaterOrEqual:
      return ">=";
  }
  return "";
}

bool holds(double value, Comparison comparison, double limit) {
  switch (comparison) {
    case Comparison::kLess:
      return value < limit;
    case Comparison::kLessOrEqual:
      return value <= limit;
    case Comparison::kGreater:
      return value > limit;
    case Comparison::kGreaterOrEqual:
      return value >= limit;
  }
  return false;
}

Gate parse_gate(std::string_view text) {
  const auto refuse = [&](std::string_view what) {
    fail("gate {}: {}, expected NAME<NUMBER or NAME>NUMBER such as kl.mean<0.05",
         text.empty() ? "(empty)" : printable(text, kLongestGate), what);
  };
  Gate gate;
  const size_t at = text.find_first_of("<>");
  if (at == std::string_view::npos) refuse("no comparison");
  const bool or_equal = at + 1 < text.size() && text[at + 1] == '=';
  if (text[at] == '<')
    gate.comparison = or_equal ? Comparison::kLessOrEqual : Comparison::kLess;
  else
    gate.comparison = or_equal ? Comparison::kGreaterOrEqual : Comparison::kGreater;
  gate.metric = trimmed(text.substr(0, at));
  if (!is_metric_name(gate.metric)) refuse("no metric name in front of the comparison");
  const std::string_view number = trimmed(text.substr(at + 1 + or_equal));
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, gate.limit);
  if (number.empty() || error != std::errc() || stop != end || !std::isfinite(gate.limit))
    refuse("no number behind the comparison");
  return gate;
}

}  // namespace

std::vector<Gate> parse_gates(std::string_view text) {
  std::vector<Gate> gates;
  for (bool more = true; more;) {
    const size_t comma = text.find(',');
    gates.push_back(parse_gate(trimmed(text.substr(0, comma))));
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return gates;
}

GateResult check_gate(const Gate& gate, const nlohmann::json& report) {
  const auto value = find_metric(report, gate.metric);
  if (!value)
    fail("gate: the report has no number {}; it has {}", gate.metric,
         fmt::join(metric_names(report), ", "));
  const bool ok = holds(*value, gate.comparison, gate.limit);
  return {ok, fmt::format("gate {} {} {}: {:.6g}, {}", gate.metric, symbol(gate.comparison),
                          gate.limit, *value, ok ? "holds" : "does not hold")};
}

}  // namespace halftone
