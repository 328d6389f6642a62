#include "pipeline/convert_model.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "pipeline/bits.h"
#include "pipeline/gguf_head.h"
#include "pipeline/online_rotation.h"
#include "pipeline/opened_model.h"
#include "pipeline/output.h"
#include "pipeline/output_place.h"
#include "pipeline/output_plan.h"
#include "pipeline/source_check.h"

namespace halftone {
namespace {

std::vector<LinearSlot> unquantized_linears(const OpenedModel& source) {
  const std::vector<std::string> packed = source.weights->linears();
  std::vector<LinearSlot> slots = source.model.linears();
  std::erase_if(slots, [&](const LinearSlot& slot) {
    return std::binary_search(packed.begin(), packed.end(), slot.name);
  });
  return slots;
}

// Tensors that are no weights of the blocks' linears, and are not packed either.
std::vector<std::string> other_tensors(const OpenedModel& source) {
  const std::vector<std::string> packed = source.weights->linears();
  std::vector<std::string> names = source.model.other_tensors();
  std::erase_if(names, [&](const std::string& name) {
    return std::binary_search(packed.begin(), packed.end(), name.substr(0, name.rfind('.'))) &&
           name.ends_with(".weight");
  });
  return names;
}

// Float32 holds every weight as it is read, whatever the model's type.
void plan_exact(OutputPlan& plan) {
  plan.dtype = at::kFloat;
  for (const char* key : {"torch_dtype", "dtype"})
    if (plan.config.contains(key)) plan.config[key] = "float32";
}

OutputPlan plan_for(const OpenedModel& source, const ConvertRequest& request) {
  OutputPlan plan = plan_output(source, source.config_json());
  if (request.is_exact()) plan_exact(plan);
  std::vector<std::string> others = other_tensors(source);
  for (const LinearSlot& slot : unquantized_linears(source))
    others.push_back(slot.name + ".weight");
  plan_others(*source.weights, others, plan);
  for (const std::string& name : source.weights->linears())
    plan.linears.push_back(plan_of(name, source.weights->read_linear(name)));
  plan_online_rotation(source.model, plan);
  if (find_format(request.format).kind == PendingOutput::Kind::kFile) {
    plan.gguf = gguf_head_of(source, source.model);
    plan.gguf->matrix_type = request.type;
    if (request.shard_bytes) plan.gguf->part_bytes = static_cast<size_t>(*request.shard_bytes);
  }
  return plan;
}

void require_type(const ConvertRequest& request) {
  require(!request.shard_bytes || request.format == "gguf",
          "--shard-size: is for --format gguf alone");
  if (request.type.empty()) return;
  constexpr std::array kTypes = {"F32", "F16", "BF16", "Q8_0"};
  require(std::find(kTypes.begin(), kTypes.end(), request.type) != kTypes.end(),
          "--type {}: expected one of {}", printable(request.type), fmt::join(kTypes, ", "));
  require(request.format == "gguf" || request.is_exact(),
          "--type {}: is for --format gguf; --format dense takes F32 besides", request.type);
}

// A weight that reads rotated inputs is W R: only `native` has a place for the rotation, only
// `dense` changes weights.
void require_unrotated(const OpenedModel& source, const std::string& format) {
  for (const LinearSlot& slot : unquantized_linears(source))
    require(!slot.reads_rotated || format == "native" || format == "dense",
            "--format {}: {}: not quantized, but its inputs are rotated as the model runs; formats "
            "that can hold this: native, dense",
            format, slot.name);
}

// Everything that is no grid: embedding, norms, biases, the head where it is not quantized as well,
// linears that were left as they were.
void add_tensors(const OpenedModel& source, const ConvertRequest& request, const OutputPlan& plan,
                 Output& output, Progress& progress) {
  int64_t done = 0;
  const auto add = [&](const std::string& name, at::Tensor tensor) {
    if (request.is_exact()) tensor = tensor.to(plan.dtype);
    output.add_tensor(name, as_written(tensor));
    source.weights->release(name);
    progress.update(++done, name);
  };
  for (const std::string& name : other_tensors(source)) add(name, source.weights->load(name));
  for (const LinearSlot& slot : unquantized_linears(source)) {
    const std::string name = slot.name + ".weight";
    const at::Tensor weight = source.weights->load(name);
    const bool undo = slot.reads_rotated && output.format() == "dense";
    add(name, undo ? plan.online->undo(weight.to(at::kFloat)).to(weight.scalar_type()) : weight);
  }
}

// What the report of the source's run says of the model and the recipe that it was made by, be it
// itself a conversion; null: nothing.
nlohmann::json run_behind(const std::filesystem::path& model) {
  const nlohmann::json report = report_of_output(model);
  if (!report.is_object()) return nullptr;
  if (report.contains("run")) return report["run"].is_object() ? report["run"] : nullptr;
  if (!report.contains("model") || !report.contains("recipe")) return nullptr;
  return {{"model", report["model"]}, {"recipe", report["recipe"]}};
}

// A plain folder would be copied; blocks of a format that is only read are no grid of ours.
void require_convertible(const OpenedModel& source, const ConvertRequest& request) {
  if (source.is_quantized()) return;
  const std::string format = source.weights->format();
  if (format == "dense" && request.format == "gguf") return;
  require(format != "dense",
          "{}: is not quantized: there is no grid to convert; --format gguf takes it as it is",
          request.model.string());
  require(request.format == "dense",
          "{}: expected --format dense: weights of {} are on no grid of another format",
          request.model.string(), format);
}

}  // namespace

nlohmann::json convert_model(const ConvertRequest& request, Progress& progress) {
  require_type(request);
  const Existing existing = request.overwrite ? Existing::kReplace : Existing::kRefuse;
  require_output(request.out, find_format(request.format).kind, existing,
                 files_of_model(request.model));
  const OpenedModel source(request.model);
  require_convertible(source, request);
  require_finite(source);
  const OutputPlan plan = plan_for(source, request);
  Output output(request.out, existing, request.format, plan);
  require_unrotated(source, output.format());
  nlohmann::json report = {{"halftone_version", HALFTONE_VERSION},
                           {"from", source.weights->format()},
                           {"format", output.format()},
                           {"source",
                            {{"bits_per_weight", bits_of(*source.weights, source.model)},
                             {"bytes", source.weights->source().stored_bytes()}}}};
  if (nlohmann::json run = run_behind(request.model); !run.is_null())
    report["run"] = std::move(run);
  const std::vector<std::string> linears = source.weights->linears();
  const size_t others = plan.others.size();
  progress.begin("convert", static_cast<int64_t>(others + linears.size()));
  add_tensors(source, request, plan, output, progress);
  for (size_t i = 0; i < linears.size(); ++i) {
    output.add_linear(finish_linear(linears[i], source.weights->read_linear(linears[i])));
    source.weights->release(linears[i] + ".weight");
    progress.update(static_cast<int64_t>(others + i + 1), linears[i]);
  }
  progress.end();
  std::vector<std::string> notes = output_notes(source);
  if (plan.gguf && !plan.gguf->note.empty()) notes.push_back(plan.gguf->note);
  if (!notes.empty()) report["notes"] = notes;
  report.update(nlohmann::json(output.verify_and_commit(report)));
  report["verified"] = true;
  return report;
}

}  // namespace halftone
