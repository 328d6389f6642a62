#include <fmt/format.h>

#include "report/bits_text.h"
#include "report/convert_report.h"
#include "report/human.h"
#include "report/metric.h"
#include "report/text_table.h"

namespace halftone {
namespace {

std::string line(const std::string& format, const nlohmann::json& sizes) {
  return fmt::format("{}, {}, bits per weight {}", format,
                     human_bytes(find_metric(sizes, "bytes").value_or(0)), bits_text(sizes));
}

}  // namespace

std::string convert_text(const nlohmann::json& report) {
  TextTable table(TextTable::Align::kLeft);
  table.add_row(
      {"from", line(find_text(report, "from"), report.value("source", nlohmann::json()))});
  table.add_row({"to", line(find_text(report, "format"), report)});
  table.add_row({"read back", report.value("verified", false)
                                  ? "ok: every weight in the files is what was written"
                                  : "FAILED"});
  if (const std::string caution = find_text(report, "caution"); !caution.empty())
    table.add_row({"caution", caution});
  for (const std::string& note : notes_in(report)) table.add_row({"note", note});
  return table.text();
}

}  // namespace halftone
