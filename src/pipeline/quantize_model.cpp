// The page to read first: a model folder becomes a quantized one, block by block.
#include "pipeline/quantize_model.h"

#include "calibrate/stream.h"
#include "pipeline/quantize_job.h"
#include "quantize/quantize_linear.h"

namespace halftone {

nlohmann::json quantize_model(const QuantizeRequest& request, Progress& progress) {
  const QuantizeJob job(
      request);  // opens and checks everything; refuses what cannot work before any work starts
  Output output(request.out, request.overwrite, request.format, job.output_plan());
  RunReport report(job, output.format());

  for (const std::string& name : job.model().other_tensors())
    output.add_tensor(name, job.other_tensor(name));

  std::optional<Stream> stream;
  if (job.calibrated())
    stream.emplace(job.model(), job.calibration_ids(), job.execution(), job.two_streams());

  progress.begin("quantize", job.linear_count());
  for (int64_t index = 0; index < job.model().config().layers; ++index) {
    Block block;
    if (stream) block = job.model().load_block(index, job.execution(), stream->rope());
    const Block original = block;  // its linears are replaced below, these are not
    for (int stage = 0; stage < job.model().family().stages; ++stage) {
      LinearStatistics statistics;
      if (stream) statistics = stream->measure(block, original, stage);
      StageSolvers solvers(statistics,
                           job.execution().threads);  // one factorization a stage and recipe
      for (const LinearSlot& linear : job.linears(index, stage)) {
        const LinearRecipe recipe = job.recipe_for(linear);
        const LinearOutcome outcome = solvers.quantize(linear, recipe, job.weight(linear));
        output.add_linear(linear.name, outcome.quantized);
        if (stream) replace_weight(block, linear, outcome.quantized);
        report.add(linear, recipe, outcome);
        progress.update(report.linears(), linear.name);
      }
    }
    if (stream) stream->leave(block, original);
  }
  progress.end();

  if (stream) report.set_dropped_sequences(stream->dropped_sequences());
  report.set_totals(output.verify_and_commit(report.without_times()));
  return report.with_times();
}

}  // namespace halftone
