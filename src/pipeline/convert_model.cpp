#include "pipeline/convert_model.h"

#include "base/error.h"
#include "pipeline/bits.h"
#include "pipeline/online_rotation.h"
#include "pipeline/opened_model.h"
#include "pipeline/output.h"
#include "pipeline/output_place.h"

namespace halftone {
namespace {

OutputPlan plan_for(const OpenedModel& source) {
  OutputPlan plan;
  plan.source = &source.weights->checkpoint();
  plan.dtype = source.model.dtype();
  for (const std::string& name : source.weights->linears())
    plan.linears.push_back(plan_of(name, source.weights->read_linear(name)));
  plan_online_rotation(source.model, plan);
  return plan;
}

}  // namespace

nlohmann::json convert_model(const ConvertRequest& request, Progress& progress) {
  require_output_folder(request.out, request.overwrite ? Existing::kReplace : Existing::kRefuse,
                        files_of_model(request.model));
  const OpenedModel source(request.model);
  require(source.is_quantized(), "{}: is not quantized: there is no grid to convert",
          request.model.string());
  Output output(request.out, request.overwrite, request.format, plan_for(source));
  nlohmann::json report = {{"halftone_version", HALFTONE_VERSION},
                           {"from", source.weights->format()},
                           {"format", output.format()},
                           {"source",
                            {{"bits_per_weight", bits_of(*source.weights, source.model)},
                             {"bytes", source.weights->checkpoint().stored_bytes()}}}};
  for (const std::string& name : source.model.other_tensors())
    output.add_tensor(name, source.weights->load(name));
  const std::vector<std::string> linears = source.weights->linears();
  progress.begin("convert", static_cast<int64_t>(linears.size()));
  for (size_t i = 0; i < linears.size(); ++i) {
    output.add_linear(linears[i], source.weights->read_linear(linears[i]));
    source.weights->release(linears[i] + ".weight");
    progress.update(static_cast<int64_t>(i + 1), linears[i]);
  }
  progress.end();
  report.update(output.verify_and_commit(report));
  report["verified"] = true;
  return report;
}

}  // namespace halftone
