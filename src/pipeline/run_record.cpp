#include "pipeline/run_record.h"

#include "base/memory.h"

namespace halftone {

RunRecord::RunRecord(const QuantizeJob& job, const std::string& format)
    : start_(std::chrono::steady_clock::now()), labels_(recipe_word(job.recipe().model.labels)) {
  report_.identity = job.identity();
  report_.format = format;
  report_.notes = job.notes();
}

const LinearRow& RunRecord::add(const LinearSlot& linear, const LinearRecipe& recipe,
                                const LinearStatistics& statistics, const LinearOutcome& outcome) {
  const ObjectiveOptions& objective = recipe.objective;
  LinearRow row;
  row.name = linear.name;
  row.objective = recipe_word(objective.kind);
  row.loss = outcome.loss;
  row.relative_error = outcome.relative_error;
  row.weight_divergence = outcome.weight_divergence;
  row.outliers = outlier_share(outcome.quantized);
  row.bits_per_weight = bits_per_weight(outcome.quantized);
  row.damping = outcome.damping;
  row.fallback = outcome.fallback;
  row.seconds = outcome.seconds;
  if (objective.kind != ObjectiveKind::kNone) row.skipped_sequences = statistics.skipped_sequences;
  if (outcome.loss_ratio_to_rtn > 0) row.loss_ratio_to_rtn = outcome.loss_ratio_to_rtn;
  if (objective.needs_gradients()) row.labels = labels_;
  if (objective.kind == ObjectiveKind::kOac && objective.gate > 0)
    row.gate = {.score = statistics.gate_score, .closed = statistics.gate_score < objective.gate};
  if (!outcome.trials.empty()) {
    row.target = {.chosen = outcome.target, .held_out_error = {}};
    for (const TargetTrial& trial : outcome.trials)
      row.target->held_out_error[trial.target] = trial.error;
  }
  report_.linears.push_back(std::move(row));
  return report_.linears.back();
}

void RunRecord::take_over(LinearRow row) {
  report_.linears.push_back(std::move(row));
  ++report_.resumed_linears;
}

RunReport RunRecord::with_times() const {
  RunReport report = report_;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  report.peak_rss_bytes = peak_resident_bytes();
  return report;
}

RunReport RunRecord::without_times() const {
  RunReport report = report_;
  report.resumed_linears = 0;
  for (LinearRow& row : report.linears) row.seconds.reset();
  return report;
}

}  // namespace halftone
