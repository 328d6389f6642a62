#include "pipeline/outer_matrices.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "quantize/linear_solver.h"

namespace halftone {
namespace {

// What the runs of rows come to together. Targets that target.auto has chosen are each run's own.
class JoinedOutcome {
 public:
  void add(LinearOutcome run) {
    const auto rows = static_cast<double>(run.quantized.out());
    rows_ += rows;
    divergence_ += rows * run.weight_divergence;
    ratio_ += rows * run.loss_ratio_to_rtn;
    error_ += run.relative_error * run.energy;
    all_.loss += run.loss;
    all_.energy += run.energy;
    all_.damping = std::max(all_.damping, run.damping);
    all_.seconds += run.seconds;
    if (all_.fallback.find(run.fallback) == std::string::npos)
      append_step(all_.fallback, run.fallback);
    all_.quantized = std::move(run.quantized);
  }
  // quantized: of the last run
  LinearOutcome finish() const {
    LinearOutcome outcome = all_;
    outcome.weight_divergence = divergence_ / rows_;
    outcome.loss_ratio_to_rtn = ratio_ / rows_;
    outcome.relative_error = outcome.energy > 0 ? error_ / outcome.energy : 0;
    return outcome;
  }

 private:
  LinearOutcome all_;
  double rows_ = 0, divergence_ = 0, ratio_ = 0, error_ = 0;
};

LinearStatistics statistics_of_head(const QuantizeJob& job, Calibration& calibration,
                                    const std::string& name, int64_t in) {
  if (job.importances()) return job.importances()->statistics(name, in);
  LinearStatistics statistics = calibration.measure_head();
  const Model& model = job.model();
  const std::string linear = name.substr(0, name.rfind('.'));
  if (model.config().tied_embeddings ||
      job.request().recipe.for_linear(linear).objective.is_diagonal())
    statistics.hessian = at::diag(statistics.hessian.diagonal());
  return statistics;
}

}  // namespace

void add_outer_tensors(const QuantizeJob& job, Output& output) {
  const MatrixTypes& matrices = job.matrices();
  for (const std::string& name : job.model().other_tensors()) {
    if (name == matrices.head) continue;
    const auto found = matrices.recipes.find(name);
    if (found == matrices.recipes.end()) {
      output.add_tensor(name, job.other_tensor(name));
      continue;
    }
    const LinearSolver solver(LinearStatistics{}, found->second, job.execution().threads);
    output.add_rows(name, job.other_tensor(name),
                    [&](const at::Tensor& rows) { return solver.quantize(rows).quantized; });
  }
}

void add_head(const QuantizeJob& job, Calibration& calibration, Output& output, RunRecord& report,
              Progress& progress) {
  const std::string& name = job.matrices().head;
  if (name.empty()) return;
  const at::Tensor matrix = job.other_tensor(name);
  const LinearRecipe& recipe = job.matrices().recipes.at(name);
  const LinearStatistics statistics = statistics_of_head(job, calibration, name, matrix.size(1));
  const LinearSolver solver(statistics, recipe, job.execution().threads);
  JoinedOutcome outcome;
  int64_t done = 0;
  progress.begin("head", matrix.size(0));
  output.add_rows(name, matrix, [&](const at::Tensor& rows) {
    LinearOutcome run = solver.quantize(rows);
    QuantizedLinear quantized = run.quantized;
    outcome.add(std::move(run));
    progress.update(done += rows.size(0), name);
    return quantized;
  });
  progress.end();
  report.set_head(name.substr(0, name.rfind('.')), recipe, statistics, outcome.finish());
}

}  // namespace halftone
