// The page to read first: a model folder becomes a quantized one, block by block.
#include "pipeline/quantize_model.h"

#include "calibrate/calibration.h"
#include "pipeline/journal.h"
#include "pipeline/outer_matrices.h"
#include "pipeline/output.h"
#include "pipeline/quantize_job.h"
#include "pipeline/resume.h"
#include "pipeline/run_record.h"
#include "pipeline/self_check.h"
#include "pipeline/stage_solvers.h"

namespace halftone {

RunReport quantize_model(const QuantizeRequest& request, Progress& progress) {
  // opens and checks everything; refuses what cannot work before any work starts
  const QuantizeJob job(with_choices_of_the_run_before(request));
  if (const auto finished = finished_report(job)) return with_self_check(*finished, job, progress);
  Journal journal(job);
  Output output(request.out, request.existing(), job.request().format, job.output_plan(),
                journal.expected_bytes());
  RunRecord report(job, output.format());

  add_outer_tensors(job, output);
  Calibration calibration(job.model(), job.calibration_inputs(), job.execution(),
                          job.calibration_options(), progress);
  const int64_t first = resume(journal, output, report, calibration, progress);
  progress.begin("quantize", job.linear_count());
  progress.start_at(report.linears());
  for (int64_t index = first; index < job.model().config().layers; ++index) {
    calibration.enter(index);
    journal.begin(index);
    for (int stage = 0; stage < job.model().family().stages; ++stage) {
      const StageStatistics statistics = calibration.measure(stage);
      StageSolvers solvers(statistics, job.execution().threads);
      for (const LinearSlot& linear : job.model().linears_of_stage(index, stage)) {
        const LinearRecipe& recipe = job.recipe().of(linear.name);
        const LinearOutcome outcome = solvers.quantize(linear, recipe, job.weight(linear));
        const FinishedLinear finished = finish_linear(linear.name, outcome.quantized);
        output.add_linear(finished);
        calibration.replace(linear, finished.weights);
        journal.add(finished, report.add(linear, recipe, statistics.of(linear), outcome));
        progress.update(report.linears(), linear.name);
      }
    }
    journal.finish();
    calibration.leave();
  }
  progress.end();
  add_head(job, calibration, output, report, progress);

  report.set_dropped_sequences(calibration.left_out_sequences());
  report.set_totals(output.verify_and_commit(report.without_times()));
  journal.remove();
  return with_self_check(report.with_times(), job, progress);
}

}  // namespace halftone
