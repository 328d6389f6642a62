#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/own_report.h"
#include "report/quantize_report.h"
#include "report/quantize_totals.h"

namespace halftone {
namespace {

constexpr double kChartWidth = 960, kChartHeight = 160;

constexpr std::string_view kStyle =
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1000px;color:#222}"
    "table{border-collapse:collapse}td,th{padding:2px 12px 2px 0;text-align:right}"
    "td:first-child,th:first-child,.totals td{text-align:left}th{border-bottom:1px solid #999}"
    "rect{fill:#456}pre{background:#f4f4f4;padding:1em}";

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

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.4g}", *value) : "";
}

double error_of(const LinearRow& linear) {
  const double error = linear.relative_error;
  return std::isfinite(error) ? std::max(0.0, error) : 0;
}

// One bar a linear, in the order of the model; the name shows under the pointer.
std::string chart(const std::vector<LinearRow>& linears) {
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
      "<svg viewBox=\"0 0 {} {}\" width=\"100%\" role=\"img\" aria-label=\"relative errors\">\n{}"
      "</svg>\n",
      highest, kChartWidth, kChartHeight, bars);
}

std::string linear_rows(const std::vector<LinearRow>& linears) {
  std::string rows;
  for (const LinearRow& linear : linears)
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        escaped(linear.name), escaped(linear.objective), number(linear.relative_error),
        number(linear.loss), number(linear.loss_ratio_to_rtn), number(linear.bits_per_weight),
        number(linear.damping), escaped(linear.fallback), number(linear.seconds));
  return rows;
}

}  // namespace

std::string quantize_html(const RunReport& report) {
  std::string totals;
  for (const auto& [label, text] : quantize_totals(report))
    totals += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", label, escaped(text));
  return fmt::format(
      "{}<style>{}</style></head><body>\n"
      "<h1>Halftone report</h1>\n<table class=\"totals\">\n{}</table>\n{}"
      "<h2>Linears</h2>\n<table>\n<tr><th>name</th><th>objective</th><th>relative error</th>"
      "<th>loss</th><th>of "
      "rounding's</th><th>bits/weight</th><th>damping</th><th>fallback</th><th>seconds</th></tr>\n"
      "{}</table>\n<h2>Recipe</h2>\n<pre>{}</pre>\n</body></html>\n",
      kHtmlHead, kStyle, totals, chart(report.linears), linear_rows(report.linears),
      escaped(report.identity.recipe_toml));
}

}  // namespace halftone
