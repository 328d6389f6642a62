#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/metric.h"
#include "report/own_report.h"
#include "report/quantize_report.h"
#include "report/quantize_totals.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

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

std::string number(const Json& linear, std::string_view name) {
  const auto value = find_metric(linear, name);
  return value ? fmt::format("{:.4g}", *value) : "";
}

double error_of(const Json& linear) {
  const double error = find_metric(linear, "relative_error").value_or(0);
  return std::isfinite(error) ? std::max(0.0, error) : 0;
}

// One bar a linear, in the order of the model; the name shows under the pointer.
std::string chart(const Json& linears) {
  double highest = 0;
  for (const Json& linear : linears) highest = std::max(highest, error_of(linear));
  if (highest == 0) return "";
  const double step = kChartWidth / static_cast<double>(linears.size());
  std::string bars;
  double left = 0;
  for (const Json& linear : linears) {
    const double height = kChartHeight * error_of(linear) / highest;
    bars += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"><title>{}: {}</title>"
        "</rect>\n",
        left, kChartHeight - height, step * 0.8, height, escaped(find_text(linear, "name")),
        number(linear, "relative_error"));
    left += step;
  }
  return fmt::format(
      "<h2>Relative error of each linear</h2>\n<p>highest bar: {:.3g}</p>\n"
      "<svg viewBox=\"0 0 {} {}\" width=\"100%\" role=\"img\" aria-label=\"relative errors\">\n{}"
      "</svg>\n",
      highest, kChartWidth, kChartHeight, bars);
}

std::string linear_rows(const Json& linears) {
  std::string rows;
  for (const Json& linear : linears)
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        escaped(find_text(linear, "name")), escaped(find_text(linear, "objective")),
        number(linear, "relative_error"), number(linear, "loss"),
        number(linear, "loss_ratio_to_rtn"), number(linear, "bits_per_weight"),
        number(linear, "damping"), escaped(find_text(linear, "fallback")),
        number(linear, "seconds"));
  return rows;
}

}  // namespace

std::string quantize_html(const Json& report) {
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
      kHtmlHead, kStyle, totals, chart(linears_of(report)), linear_rows(linears_of(report)),
      escaped(find_text(report, "recipe.toml")));
}

}  // namespace halftone
