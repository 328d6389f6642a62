#include <fmt/format.h>

#include "report/html_parts.h"
#include "report/quantize_report.h"
#include "report/quantize_totals.h"

namespace halftone {

std::string quantize_html(const RunReport& report) {
  return html_page(fmt::format(
      "<h1>Halftone report</h1>\n{}{}<h2>Linears</h2>\n{}<h2>Recipe</h2>\n<pre>{}</pre>\n",
      html_pairs(quantize_totals(report)), error_chart(report.linears),
      linears_table(report.linears), escaped(report.identity.recipe_toml)));
}

}  // namespace halftone
