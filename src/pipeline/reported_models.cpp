#include "pipeline/reported_models.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/checkpoint.h"
#include "pipeline/output.h"
#include "pipeline/output_place.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Models by the path that they are known by.
class Gathered {
 public:
  ReportedModel& at(const fs::path& path) {
    fs::path key = path.lexically_normal();
    if (!key.has_filename()) key = key.parent_path();
    const std::string name = key.string();
    const auto found = std::find_if(models_.begin(), models_.end(),
                                    [&](const ReportedModel& model) { return model.name == name; });
    if (found != models_.end()) return *found;
    return models_.emplace_back(ReportedModel{name, std::nullopt, {}});
  }

  // Under the last part of their paths, wherever these differ.
  std::vector<ReportedModel> take() {
    std::vector<std::string> names;
    for (const ReportedModel& model : models_) names.push_back(last_name(model.name));
    std::vector<std::string> sorted = names;
    std::sort(sorted.begin(), sorted.end());
    const bool unique = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    for (size_t i = 0; unique && i < names.size(); ++i) models_[i].name = names[i];
    return std::move(models_);
  }

 private:
  std::vector<ReportedModel> models_;
};

void add_output(const fs::path& path, Gathered& gathered) {
  const json report = report_of_output(path);
  require(report.is_object() && report.contains("recipe"),
          "{}: expected an output of `halftone quantize`, found a model without the report of one",
          shown(path));
  RunReport run = parse_run_report(report, place_of_report(path));
  run.written = written_totals(path);
  gathered.at(path).run = std::move(run);
}

// What --report of `quantize` says beyond what its output does.
RunReport run_of_report(const json& report, const std::string& place) {
  RunReport run = parse_run_report(report, place);
  const json bits = report.value("bits_per_weight", json::object());
  if (report.value("verified", false))
    run.written = {.bits_per_weight = {.quantized = bits.value("quantized", 0.0),
                                       .quoted = bits.value("quoted", 0.0),
                                       .model = bits.value("model", 0.0)},
                   .bytes = report.value("bytes", size_t{0}),
                   .caution = report.value("caution", "")};
  if (!report.contains("seconds")) return run;
  run.seconds = report.value("seconds", 0.0);
  run.peak_rss_bytes = report.value("peak_rss_bytes", size_t{0});
  return run;
}

void add_json(const fs::path& path, const json& found, Gathered& gathered) {
  const bool is_evaluation =
      found.is_object() && found.contains("model") && found.contains("bits_per_weight");
  if (is_evaluation && found.at("model").is_string())
    gathered.at(found.at("model").get<std::string>()).evaluations.push_back(found);
  else if (found.is_object() && found.contains("recipe") && found.contains("linears"))
    gathered.at(path.parent_path() / path.stem()).run = run_of_report(found, shown(path));
  else
    fail(
        "{}: expected what --json of evaluate or compare or --report of quantize writes, found "
        "other JSON",
        shown(path));
}

void add_file(const fs::path& path, Gathered& gathered) {
  const json found = read_json(path);
  if (!found.is_array()) return add_json(path, found, gathered);
  for (const json& each : found) add_json(path, each, gathered);
}

}  // namespace

std::vector<ReportedModel> read_reported_models(const std::vector<fs::path>& paths) {
  Gathered gathered;
  for (const fs::path& path : paths) {
    require(is_there(path), "{}: does not exist", shown(path));
    const bool is_output = kind_at(path) == PlaceKind::kFolder || path.extension() == ".gguf";
    try {
      if (is_output)
        add_output(path, gathered);
      else
        add_file(path, gathered);
    } catch (const json::exception& error) {
      fail("{}: expected what this program writes, found something else: {}", shown(path),
           printable(error.what()));
    }
  }
  return gathered.take();
}

}  // namespace halftone
