#include "pipeline/run_record.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "pipeline/run_costs.h"

namespace halftone {
namespace {

// "model.layers.0.mlp.experts.3" of a linear's name
std::string expert_of(const std::string& linear) {
  return linear.substr(0, linear.rfind('.'));
}

// Names the experts that no token reached; "" where there are none.
std::string unreached_experts(const std::vector<LinearRow>& linears) {
  std::vector<std::string> names;
  for (const LinearRow& row : linears) {
    const std::string name = expert_of(row.name);
    if (row.tokens == 0 && std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  if (names.empty()) return "";
  return fmt::format("rounded to nearest, as no token of the calibration came to them: {}",
                     fmt::join(names, ", "));
}

}  // namespace

RunRecord::RunRecord(const QuantizeJob& job, const std::string& format)
    : start_(std::chrono::steady_clock::now()), labels_(recipe_word(job.recipe().model.labels)) {
  report_.identity = job.identity();
  report_.format = format;
  report_.notes = job.notes();
  report_.planned_peak_bytes = static_cast<size_t>(peak_of_run(job));
}

LinearRow RunRecord::row_of(const std::string& name, const LinearRecipe& recipe,
                            const LinearStatistics& statistics,
                            const LinearOutcome& outcome) const {
  const ObjectiveOptions& objective = recipe.objective;
  LinearRow row;
  row.name = name;
  row.objective = recipe_word(objective.kind);
  row.loss = outcome.loss;
  row.relative_error = outcome.relative_error;
  row.weight_divergence = outcome.weight_divergence;
  row.outliers = outlier_share(outcome.quantized);
  row.bits_per_weight = bits_per_weight(outcome.quantized);
  row.damping = outcome.damping;
  row.fallback = outcome.fallback;
  row.seconds = outcome.seconds;
  if (objective.needs_sequences()) row.skipped_sequences = statistics.skipped_sequences;
  if (outcome.loss_ratio_to_rtn > 0) row.loss_ratio_to_rtn = outcome.loss_ratio_to_rtn;
  if (objective.needs_gradients()) row.labels = labels_;
  if (objective.kind == ObjectiveKind::kOac && objective.gate > 0)
    row.gate = {.score = statistics.gate_score, .closed = statistics.gate_score < objective.gate};
  if (!outcome.trials.empty()) {
    row.target = {.chosen = outcome.target, .held_out_error = {}};
    for (const TargetTrial& trial : outcome.trials)
      row.target->held_out_error[trial.target] = trial.error;
  }
  return row;
}

const LinearRow& RunRecord::add(const LinearSlot& linear, const LinearRecipe& recipe,
                                const LinearStatistics& statistics, const LinearOutcome& outcome) {
  LinearRow row = row_of(linear.name, recipe, statistics, outcome);
  if (linear.expert >= 0 && recipe.objective.needs_sequences()) row.tokens = statistics.tokens;
  report_.linears.push_back(std::move(row));
  return report_.linears.back();
}

void RunRecord::set_head(const std::string& name, const LinearRecipe& recipe,
                         const LinearStatistics& statistics, const LinearOutcome& outcome) {
  report_.head = row_of(name, recipe, statistics, outcome);
}

void RunRecord::take_over(LinearRow row) {
  report_.linears.push_back(std::move(row));
  ++report_.resumed_linears;
}

RunReport RunRecord::noted() const {
  RunReport report = report_;
  if (std::string note = unreached_experts(report.linears); !note.empty())
    report.notes.push_back(std::move(note));
  if (report.head && !report.head->fallback.empty())
    report.notes.push_back(fmt::format("{}: {}", report.head->name, report.head->fallback));
  return report;
}

RunReport RunRecord::with_times() const {
  RunReport report = noted();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  report.peak_rss_bytes = peak_resident_bytes();
  return report;
}

RunReport RunRecord::without_times() const {
  RunReport report = noted();
  report.resumed_linears = 0;
  for (LinearRow& row : report.linears) row.seconds.reset();
  if (report.head) report.head->seconds.reset();
  return report;
}

}  // namespace halftone
