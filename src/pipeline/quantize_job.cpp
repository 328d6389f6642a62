#include "pipeline/quantize_job.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/place.h"
#include "base/sha256.h"
#include "kernels/lane_kernels.h"
#include "pipeline/journal.h"
#include "pipeline/online_rotation.h"
#include "pipeline/output_place.h"
#include "transform/rotated_weights.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kFewestSequencesOfGate = 5;
constexpr int64_t kSequencesOfOneHeldOut = 10;  // target.auto: a tenth of them, at least one
constexpr int64_t kMostSequences = int64_t{1} << 24;

TokenWindows draw_windows(const QuantizeRequest& request, const Corpus& corpus,
                          const ModelConfig& config) {
  require(request.sequences > 0 && request.sequences <= kMostSequences,
          "--sequences {}: expected a number from 1 to {}", request.sequences, kMostSequences);
  const int64_t length = checked_length(request.length, config);
  return with_path(*request.calibration,
                   [&] { return random_windows(corpus, request.sequences, length, request.seed); });
}

std::string text_sha256(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

// Where the run may write is looked at before anything is opened.
QuantizeRequest placed(const QuantizeRequest& request) {
  const Existing existing = request.overwrite ? Existing::kReplace
                            : request.resume  ? Existing::kResume
                                              : Existing::kRefuse;
  const std::vector<std::filesystem::path> inputs = inputs_of(request);
  require_output_folder(request.out, existing, inputs);
  require_apart(journal_folder(request.out), inputs);
  return request;
}

// GPTQ v1 files store zero - 1, which most readers take back without wrapping: zeros start at 1
// there (FORMATS 4).
QuantizeRequest fitted_to_format(QuantizeRequest request) {
  if (request.format == "gptq") request.recipe.common.grid.zero_min = 1;
  return request;
}

}  // namespace

std::string objective_name(ObjectiveKind kind) {
  switch (kind) {
    case ObjectiveKind::kNone:
      return "none";
    case ObjectiveKind::kInput:
      return "input";
    case ObjectiveKind::kOutput:
      return "oac";
    case ObjectiveKind::kTokenWeighted:
      return "guided";
    case ObjectiveKind::kDiagonal:
      return "diagonal";
  }
  return "";
}

std::vector<std::filesystem::path> inputs_of(const QuantizeRequest& request) {
  std::vector<std::filesystem::path> inputs = files_of_model(request.model);
  for (const auto& file : {request.recipe_file, request.calibration})
    if (file) inputs.push_back(*file);
  return inputs;
}

QuantizeJob::QuantizeJob(const QuantizeRequest& request)
    : request_(fitted_to_format(placed(request))),
      opened_(request.model),
      execution_(choose_execution(request.device, request.compute, request.threads,
                                  request.recipe.needs_calibration(), request.products)),
      weights_(opened_.weights) {
  require(!opened_.is_quantized(),
          "{}: is quantized already ({}); quantizing again would add its error to that one's",
          request.model.string(), opened_.weights->format());
  const TransformOptions& transform = request.recipe.common.transform;
  require(!transform.online || transform.rotation == RotationKind::kQuaRot,
          "transform.online rotates what transform.rotation leaves: expected rotation = quarot");
  if (transform.rotation == RotationKind::kQuaRot) {
    weights_ = std::make_shared<const RotatedWeights>(
        opened_.weights, opened_.model.family(), opened_.model.config(),
        RotationOptions{.seed = request.seed, .online = transform.online});
    transformed_.emplace(weights_);
  }
  check_objectives();
  require_finite(opened_);
  for (const LinearSlot& linear : model().linears())
    with_context(linear.name, [&] { require_options(recipe_for(linear)); });
  float16_scales_ = scale_type() == at::kHalf;
  if (!request.recipe.needs_calibration()) return;
  require(
      request.calibration.has_value(),
      "recipe {} needs calibration data: add --calibration FILE (UTF-8 text, .jsonl or .tokens)",
      request.recipe.name);
  corpus_ = read_corpus_for(opened_, *request.calibration);
  windows_ = draw_windows(request, *corpus_, model().config());
}

at::ScalarType QuantizeJob::scale_type() const {
  const OutputPlan plan = output_plan();
  const Format& format =
      request_.format.empty() ? default_format(plan) : find_format(request_.format);
  return format.scale_type(plan);
}

at::Tensor QuantizeJob::calibration_ids() const {
  return at::tensor(windows_->ids, at::kInt).view({windows_->count, windows_->length});
}

OutputPlan QuantizeJob::output_plan() const {
  OutputPlan plan;
  plan.source = &opened_.weights->checkpoint();
  plan.config = transformed_ ? weights_->config() : opened_.config_json();
  plan_types(opened_, plan);
  plan.producer = "halftone:" HALFTONE_VERSION;
  for (const LinearSlot& linear : model().linears())
    plan.linears.push_back({linear.name, linear.out, linear.in, recipe_for(linear)});
  plan_online_rotation(model(), plan);
  return plan;
}

LinearRecipe QuantizeJob::recipe_for(const LinearSlot& linear) const {
  LinearRecipe recipe = request_.recipe.for_linear(linear.name);
  recipe.grid.float16_scales = float16_scales_;
  return recipe;
}

int64_t QuantizeJob::held_out_sequences() const {
  const auto& linears = model().linears();
  const bool any = std::any_of(linears.begin(), linears.end(), [&](const LinearSlot& linear) {
    return recipe_for(linear).target.automatic;
  });
  return any ? std::max<int64_t>(1, request_.sequences / kSequencesOfOneHeldOut) : 0;
}

CalibrationOptions QuantizeJob::calibration_options() const {
  CalibrationOptions options;
  const auto& linears = model().linears();
  options.two_streams = std::any_of(linears.begin(), linears.end(), [&](const LinearSlot& linear) {
    return recipe_for(linear).target.needs_original_stream();
  });
  options.held_out = held_out_sequences();
  options.objective = [this](const LinearSlot& linear) { return recipe_for(linear).objective; };
  options.seed = request_.seed;
  options.memory_limit = request_.memory_limit.value_or(physical_memory_bytes() / 2);
  options.spill_folder = parent_of(request_.out);
  return options;
}

// A two-stream target needs the cross moment of its own objective (METHODS 3.5). One-shot gradients
// of an output Hessian are those of the full-precision model, where nothing has drifted, and what a
// later drift would have to be multiplied by is gone.
void QuantizeJob::check_objectives() const {
  for (const LinearSlot& linear : model().linears()) {
    const LinearRecipe recipe = recipe_for(linear);
    require(!recipe.objective.needs_gradients() || !recipe.target.automatic,
            "{}: objective.kind = {} with target.auto: its choice is made by the error of the "
            "layer's output, for objective.kind = input only",
            linear.name, objective_name(recipe.objective.kind));
    require(recipe.objective.kind != ObjectiveKind::kOutput ||
                recipe.objective.schedule == ScheduleKind::kBlockWise ||
                !recipe.target.needs_original_stream(),
            "{}: objective.kind = oac with target.alpha or target.preshift above 0 needs "
            "objective.schedule = blockwise: one-shot gradients see no drift",
            linear.name);
    with_context(linear.name, [&] { require_rows(recipe, linear.out); });
    require(recipe.objective.gate == 0 || !recipe.objective.needs_gradients() ||
                recipe.objective.kind == ObjectiveKind::kOutput,
            "{}: objective.gate {} with objective.kind = {}: only oac has a gate", linear.name,
            recipe.objective.gate, objective_name(recipe.objective.kind));
    require(recipe.objective.gate == 0 || request_.sequences >= kFewestSequencesOfGate,
            "--sequences {}: objective.gate holds every fifth sequence out and needs at least {}",
            request_.sequences, kFewestSequencesOfGate);
    require(!recipe.target.automatic || request_.sequences >= 2,
            "--sequences {}: target.auto holds a tenth of the windows out and needs at least 2",
            request_.sequences);
  }
}

at::Tensor QuantizeJob::weight(const LinearSlot& linear) const {
  const std::string name = linear.name + ".weight";
  at::Tensor weight = weights_->load(name);
  if (weight.scalar_type() != at::kFloat) {  // exact but for float64, which formats do not hold
    weight = weight.to(at::kFloat);          // and nothing of the mapping is needed any more
    weights_->release(name);
  }
  return weight;
}

at::Tensor QuantizeJob::other_tensor(const std::string& name) const {
  if (!transformed_) return as_written(weights_->load(name));
  const at::ScalarType type = written_type(opened_.model.dtype());
  const at::Tensor rotated = load_copy(*weights_, name, at::kCPU, type);
  require(rotated.isfinite().all().item<bool>(), "{}: a number is too large for {} once rotated",
          name, c10::toString(type));
  return rotated;
}

json QuantizeJob::calibration_json() const {
  if (!corpus_) return nullptr;
  const auto* ids = windows_->ids.data();
  json result = {
      {"text", corpus_->name},
      {"ids_sha256", corpus_->ids_sha256},
      {"tokenizer", corpus_->description},
      {"round_trip", corpus_->round_trip},
      {"bos", corpus_->bos},
      {"sequences", windows_->count},
      {"length", windows_->length},
      {"seed", request_.seed},
      {"windows_sha256", sha256_hex(std::as_bytes(std::span(ids, windows_->ids.size())))}};
  if (held_out_sequences() > 0) result["held_out_sequences"] = held_out_sequences();
  return result;
}

json QuantizeJob::identity() const {
  const std::string recipe = to_toml(request_.recipe);
  return {{"halftone_version", HALFTONE_VERSION},
          {"model", {{"fingerprint", opened_.fingerprint()}}},
          {"recipe",
           {{"name", request_.recipe.name}, {"toml", recipe}, {"sha256", text_sha256(recipe)}}},
          {"calibration", calibration_json()},
          {"least_scale", least_scale(float16_scales_)},
          {"compute", calibrated() ? json(dtype_name(execution_.dtype)) : json()},
          {"products", calibrated() ? json(name_of(execution_.products)) : json()},
          {"device", c10::DeviceTypeName(execution_.device.type(), /*lower_case=*/true)},
          {"threads", execution_.threads},
          {"seed", request_.seed}};
}

const LinearSolver& StageSolvers::solver_for(const std::string& linear,
                                             const LinearRecipe& recipe) {
  const auto found = statistics_.find(linear);
  const LinearStatistics statistics =
      found == statistics_.end() ? LinearStatistics{} : found->second;
  for (const Solver& known : solvers_)
    if (known.recipe == recipe && known.hessian.is_same(statistics.hessian)) return *known.solver;
  solvers_.push_back({recipe, statistics.hessian,
                      std::make_unique<const LinearSolver>(statistics, recipe, threads_)});
  return *solvers_.back().solver;
}

LinearOutcome StageSolvers::quantize(const LinearSlot& linear, const LinearRecipe& recipe,
                                     const at::Tensor& weight) {
  const auto found = statistics_.find(linear.name);
  const at::Tensor row_energies =
      found == statistics_.end() ? at::Tensor() : found->second.row_energies;
  LinearOutcome outcome = with_context(
      linear.name, [&] { return solver_for(linear.name, recipe).quantize(weight, row_energies); });
  if (found != statistics_.end() && !found->second.fallback.empty())
    outcome.fallback =
        found->second.fallback + (outcome.fallback.empty() ? "" : "; ") + outcome.fallback;
  return outcome;
}

void replace_weight(Block& block, const LinearSlot& linear, const QuantizedLinear& quantized) {
  at::Tensor& weight = block.linears[linear.index].weight;
  weight = dequantize(quantized).to(weight.device(), weight.scalar_type());
}

}  // namespace halftone
