#include "pipeline/imatrix.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "calibrate/calibration.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_writer.h"
#include "pipeline/output.h"
#include "pipeline/quantize_job.h"

namespace halftone {
namespace {

struct Importance {
  std::string name;  // of the weight in a GGUF file
  at::Tensor sums;   // (in) float32
  float tokens;
};

// A file for the model as it is: whose inputs no rotation has mixed, all of them measured.
void require_plain(const Recipe& recipe, const RunRecipe& run) {
  require(
      recipe.model.transform == TransformOptions{},
      "recipe {}: transform.rotation = \"none\" expected: a stock quantizer sees the model as it "
      "is, not rotated",
      recipe.name);
  for (const auto& [name, linear] : run.linears)
    require(linear.objective.needs_sequences(),
            "recipe {} measures nothing for {}: expected an objective", recipe.name, name);
}

Importance importance_of(const std::string& name, const LinearStatistics& statistics) {
  at::Tensor diagonal = statistics.hessian.diagonal(0, -2, -1);
  if (diagonal.dim() == 2) diagonal = diagonal.mean(0);
  diagonal = diagonal.to(at::kFloat).contiguous();
  require(diagonal.isfinite().all().item<bool>() && diagonal.ge(0).all().item<bool>(),
          "{}: the sums of squares are not finite", name);
  return {name, diagonal, static_cast<float>(statistics.tokens)};
}

std::vector<Importance> measured(const QuantizeJob& job, Progress& progress) {
  const std::string architecture = job.output_plan().gguf->architecture;
  Calibration calibration(job.model(), job.calibration_inputs(), job.execution(),
                          job.calibration_options(), progress);
  std::vector<Importance> all;
  progress.begin("measure", job.linear_count());
  for (int64_t index = 0; index < job.model().config().layers; ++index) {
    calibration.enter(index);
    for (int stage = 0; stage < job.model().family().stages; ++stage) {
      const StageStatistics statistics = calibration.measure(stage);
      for (const LinearSlot& linear : job.model().linears_of_stage(index, stage)) {
        const auto name = gguf_name(find_gguf_architecture(architecture), linear.name + ".weight");
        require(name.has_value(), "{}: architecture {} has no such tensor", linear.name,
                architecture);
        all.push_back(importance_of(*name, statistics.of(linear)));
        progress.update(static_cast<int64_t>(all.size()), linear.name);
      }
    }
    calibration.leave();
  }
  progress.end();
  return all;
}

void write_file(const std::filesystem::path& path, const QuantizeRequest& request,
                const std::vector<Importance>& all, const at::Tensor& items) {
  std::vector<std::string> datasets;
  for (const WeighedText& text : texts_of(request)) datasets.push_back(text.name());
  GgufPlan plan;
  plan.metadata = {{"general.type", gguf_value("imatrix")},
                   {"imatrix.datasets", gguf_value(std::span<const std::string>(datasets))},
                   {"imatrix.chunk_count", gguf_value(static_cast<uint32_t>(items.size(0)))},
                   {"imatrix.chunk_size", gguf_value(static_cast<uint32_t>(items.size(1)))}};
  const GgufType* type = find_gguf_type("F32");
  for (const Importance& one : all) {
    plan.tensors.push_back({one.name + ".in_sum2", {1, one.sums.numel()}, type});
    plan.tensors.push_back({one.name + ".counts", {1, 1}, type});
  }
  GgufWriter writer(path, plan);
  for (const Importance& one : all) {
    const std::span sums(one.sums.const_data_ptr<float>(), static_cast<size_t>(one.sums.numel()));
    writer.write(one.name + ".in_sum2", std::as_bytes(sums));
    writer.write(one.name + ".counts", std::as_bytes(std::span(&one.tokens, 1)));
  }
  writer.finish();
}

}  // namespace

nlohmann::json write_imatrix(const QuantizeRequest& asked, Progress& progress) {
  QuantizeRequest request = asked;
  request.format = "gguf";
  const QuantizeJob job(request);
  require_plain(request.recipe, job.recipe());
  PendingOutput pending(request.out, PendingOutput::Kind::kFile, /*overwrite=*/false);
  const std::vector<Importance> all = measured(job, progress);
  write_file(pending.staging(), request, all, job.calibration_inputs().items);
  pending.commit();
  return {{"linears", all.size()},
          {"tokens", all.empty() ? 0 : static_cast<int64_t>(all.front().tokens)},
          {"objective", recipe_word(request.recipe.common.objective.kind)}};
}

}  // namespace halftone
