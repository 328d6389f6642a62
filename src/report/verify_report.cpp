#include "report/verify_report.h"

#include "report/human.h"
#include "report/metric.h"
#include "report/text_table.h"

namespace halftone {

std::string verify_text(const nlohmann::json& verification) {
  TextTable files, checks(TextTable::Align::kLeft);
  for (const nlohmann::json& file : verification.at("files"))
    files.add_row({find_text(file, "name"), human_bytes(find_metric(file, "bytes").value_or(0)),
                   find_text(file, "sha256")});
  for (const nlohmann::json& check : verification.at("checks"))
    checks.add_row({find_text(check, "name"), check.at("holds").get<bool>() ? "ok" : "FAILED",
                    find_text(check, "found")});
  return files.text() + "\n" + checks.text();
}

std::string first_failure(const nlohmann::json& verification) {
  for (const nlohmann::json& check : verification.at("checks"))
    if (!check.at("holds").get<bool>())
      return find_text(check, "name") + ": " + find_text(check, "found");
  return "";
}

}  // namespace halftone
