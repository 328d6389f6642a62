#include "report/runs_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "report/bits_text.h"
#include "report/divergence_rows.h"
#include "report/html_parts.h"
#include "report/human.h"
#include "report/metric.h"
#include "report/quantize_totals.h"
#include "report/scatter.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

constexpr double kMebibyte = 1 << 20;

// An evaluation and the name of its model.
struct Evaluated {
  std::string name;
  const Json* json;
};

// "wiki.txt, 40 windows of 2048 tokens, paper, float32": evaluations that say the same here can be
// compared.
std::string protocol_of(const Json& json) {
  std::string text = find_text(json, "text");
  if (json.contains("texts")) text = fmt::format("{} texts", json.at("texts").size());
  const auto whole = [&](const char* name) {
    return fmt::format("{:.0f}", find_metric(json, name).value_or(0));
  };
  return fmt::format("{}, {} windows of {} tokens, {}, {}",
                     std::filesystem::path(text).filename().string(), whole("protocol.windows"),
                     whole("protocol.length"), find_text(json, "protocol.name"),
                     find_text(json, "compute"));
}

std::map<std::string, std::vector<Evaluated>> by_protocol(
    const std::vector<ReportedModel>& models) {
  std::map<std::string, std::vector<Evaluated>> groups;
  for (const ReportedModel& model : models)
    for (const Json& evaluation : model.evaluations)
      if (evaluation.contains("protocol"))
        groups[protocol_of(evaluation)].push_back({model.name, &evaluation});
  return groups;
}

std::string estimate(const Json& json, const std::string& name, const char* value) {
  const auto number = find_metric(json, name + "." + value);
  return number ? human_estimate(*number, find_metric(json, name + ".stderr")) : "-";
}

std::vector<std::string> row_of(const Evaluated& evaluated) {
  const Json& json = *evaluated.json;
  const auto top = find_metric(json, "top1.value");
  return {evaluated.name,
          find_text(json, "format"),
          human_bytes(find_metric(json, "bytes").value_or(0)),
          bits_text(json),
          estimate(json, "perplexity", "value"),
          estimate(json, "kl", "mean"),
          range_text(json, "kl"),
          top ? human_share(*top, find_metric(json, "top1.stderr")) : "-"};
}

// The hash of the tokens of each text.
std::string ids_of(const Json& json) {
  if (!json.contains("texts")) return find_text(json, "protocol.ids_sha256");
  std::string ids;
  for (const Json& text : json.at("texts")) ids += find_text(text, "ids_sha256") + " ";
  return ids;
}

std::string evaluations_part(const std::string& protocol, const std::vector<Evaluated>& group) {
  std::vector<ScatterPoint> points;
  std::vector<std::vector<std::string>> rows = {
      {"model", "format", "size", "bits/weight", "perplexity", "KL", "KL 95 %", "same top token"}};
  for (const Evaluated& evaluated : group) {
    const Json& json = *evaluated.json;
    rows.push_back(row_of(evaluated));
    if (const auto kl = find_metric(json, "kl.mean"))
      points.push_back({evaluated.name, find_metric(json, "bytes").value_or(0) / kMebibyte, *kl,
                        find_metric(json, "kl.low").value_or(0),
                        find_metric(json, "kl.high").value_or(0)});
  }
  return fmt::format("<h2>{}</h2>\n{}{}<p class=\"ids\">ids {}</p>\n", escaped(protocol),
                     scatter(points, {"size of all tensors, MiB", "KL, nats a token"}),
                     html_table(rows), escaped(ids_of(*group.front().json)));
}

// What decides a run's result, as hashes.
std::vector<std::pair<std::string, std::string>> hashes_of(const RunReport& run) {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"halftone", run.identity.halftone_version},
      {"model", run.identity.model_fingerprint},
      {"recipe", run.identity.recipe_sha256}};
  if (run.identity.calibration) {
    for (const CalibrationText& text : run.identity.calibration->texts)
      rows.emplace_back("calibration ids", text.ids_sha256);
    rows.emplace_back("its windows", run.identity.calibration->windows_sha256);
  }
  return rows;
}

// Without the time of a run that is not known.
std::vector<std::pair<std::string, std::string>> totals_of(const RunReport& run) {
  auto totals = quantize_totals(run);
  if (!run.seconds) std::erase_if(totals, [](const auto& row) { return row.first == "took"; });
  return totals;
}

std::string run_part(const std::string& name, const RunReport& run) {
  return fmt::format(
      "<h2>{}</h2>\n{}{}<details><summary>Hashes, linears, recipe</summary>\n{}{}<pre>{}</pre>\n"
      "</details>\n",
      escaped(name), html_pairs(totals_of(run)), error_chart(run.linears),
      html_pairs(hashes_of(run)), linears_table(run.linears), escaped(run.identity.recipe_toml));
}

}  // namespace

std::string runs_html(const std::vector<ReportedModel>& models) {
  std::string body = "<h1>Halftone report</h1>\n";
  for (const auto& [protocol, group] : by_protocol(models))
    body += evaluations_part(protocol, group);
  for (const ReportedModel& model : models)
    if (model.run) body += run_part(model.name, *model.run);
  return html_page(body);
}

}  // namespace halftone
