#include "pipeline/run_report.h"

#include "base/memory.h"

namespace halftone {

using nlohmann::json;

RunReport::RunReport(const QuantizeJob& job, const std::string& format)
    : start_(std::chrono::steady_clock::now()),
      labels_(recipe_word(job.recipe().model.labels)),
      report_(job.identity()) {
  report_["format"] = format;
  report_["linears"] = json::array();
  if (const auto notes = job.notes(); !notes.empty()) report_["notes"] = notes;
}

const json& RunReport::add(const LinearSlot& linear, const LinearRecipe& recipe,
                           const LinearStatistics& statistics, const LinearOutcome& outcome) {
  const ObjectiveOptions& objective = recipe.objective;
  report_["linears"].push_back({{"name", linear.name},
                                {"objective", recipe_word(objective.kind)},
                                {"loss", outcome.loss},
                                {"relative_error", outcome.relative_error},
                                {"weight_divergence", outcome.weight_divergence},
                                {"outliers", outlier_share(outcome.quantized)},
                                {"bits_per_weight", bits_per_weight(outcome.quantized)},
                                {"damping", outcome.damping},
                                {"fallback", outcome.fallback},
                                {"seconds", outcome.seconds}});
  json& row = report_["linears"].back();
  if (objective.kind != ObjectiveKind::kNone)
    row["skipped_sequences"] = statistics.skipped_sequences;
  if (outcome.loss_ratio_to_rtn > 0) row["loss_ratio_to_rtn"] = outcome.loss_ratio_to_rtn;
  if (objective.needs_gradients()) row["labels"] = labels_;
  if (objective.kind == ObjectiveKind::kOac && objective.gate > 0) {
    row["gate_score"] = statistics.gate_score;
    row["gate"] = statistics.gate_score < objective.gate ? "closed" : "open";
  }
  if (!outcome.trials.empty()) {
    json& target = row["target"];
    target["chosen"] = outcome.target;
    for (const TargetTrial& trial : outcome.trials)
      target["held_out_error"][trial.target] = trial.error;
  }
  return row;
}

void RunReport::take_over(const json& row) {
  report_["linears"].push_back(row);
  ++taken_over_;
}

void RunReport::set_totals(const json& written) {
  report_["verified"] = true;
  report_.update(written);
}

json RunReport::with_times() const {
  json report = report_;
  if (taken_over_ > 0) report["resumed_linears"] = taken_over_;
  report["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  report["peak_rss_bytes"] = peak_resident_bytes();
  return report;
}

json RunReport::without_times() const {
  json report = report_;
  for (json& row : report["linears"]) row.erase("seconds");
  return report;
}

}  // namespace halftone
