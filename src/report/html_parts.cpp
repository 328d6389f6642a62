#include "report/html_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/own_report.h"

namespace halftone {
namespace {

constexpr double kChartWidth = 960, kChartHeight = 160;

constexpr std::string_view kStyle =
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em;"
    "color:#222}table{border-collapse:collapse}td,th{padding:2px 12px 2px 0;text-align:right}"
    "td:first-child,th:first-child,.totals td{text-align:left;vertical-align:top}"
    "th{border-bottom:1px solid #999}.totals td,.ids{overflow-wrap:anywhere}.wide{overflow-x:auto}"
    "rect{fill:#456}pre{background:#f4f4f4;padding:1em;overflow-x:auto}"
    "svg{min-width:560px}svg text{font:12px system-ui,sans-serif;fill:#222}";

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.4g}", *value) : "";
}

double error_of(const LinearRow& linear) {
  const double error = linear.relative_error;
  return std::isfinite(error) ? std::max(0.0, error) : 0;
}

std::string row_of(const std::vector<std::string>& cells, std::string_view tag) {
  std::string row = "<tr>";
  for (const std::string& cell : cells) row += fmt::format("<{0}>{1}</{0}>", tag, escaped(cell));
  return row + "</tr>\n";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html_page(std::string_view body) {
  return fmt::format(
      "{}<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<style>{}</style></head><body>\n{}</body></html>\n",
      kHtmlHead, kStyle, body);
}

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string table = "<div class=\"wide\"><table>\n";
  for (size_t i = 0; i < rows.size(); ++i) table += row_of(rows[i], i == 0 ? "th" : "td");
  return table + "</table></div>\n";
}

std::string html_pairs(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string table = "<table class=\"totals\">\n";
  for (const auto& [label, text] : rows) table += row_of({label, text}, "td");
  return table + "</table>\n";
}

std::string error_chart(const std::vector<LinearRow>& linears) {
  double highest = 0;
  for (const LinearRow& linear : linears) highest = std::max(highest, error_of(linear));
  if (highest == 0) return "";
  const double step = kChartWidth / static_cast<double>(linears.size());
  std::string bars;
  double left = 0;
  for (const LinearRow& linear : linears) {
    const double height = kChartHeight * error_of(linear) / highest;
    bars += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}: {}</title>"
        "</rect>\n",
        left, kChartHeight - height, step * 0.8, height, escaped(linear.name),
        number(linear.relative_error));
    left += step;
  }
  return fmt::format(
      "<h2>Relative error of each linear</h2>\n<p>highest bar: {:.3g}</p>\n"
      "<div class=\"wide\"><svg viewBox=\"0 0 {} {}\" width=\"100%\" role=\"img\" "
      "aria-label=\"relative errors\">\n{}</svg></div>\n",
      highest, kChartWidth, kChartHeight, bars);
}

std::string linears_table(const std::vector<LinearRow>& linears) {
  std::vector<std::vector<std::string>> rows = {{"name", "objective", "relative error", "loss",
                                                 "of rounding's", "bits/weight", "damping",
                                                 "fallback", "seconds"}};
  for (const LinearRow& linear : linears)
    rows.push_back({linear.name, linear.objective, number(linear.relative_error),
                    number(linear.loss), number(linear.loss_ratio_to_rtn),
                    number(linear.bits_per_weight), number(linear.damping), linear.fallback,
                    number(linear.seconds)});
  return html_table(rows);
}

}  // namespace halftone
