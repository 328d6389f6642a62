#include "pipeline/sensitivities.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "calibrate/calibration.h"
#include "checkpoint/strict_json.h"
#include "matrix/quadratic_form.h"
#include "pipeline/run_identity.h"
#include "pipeline/stage_solvers.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int kFileVersion = 1;
constexpr double kLeastDamping = 0.1;  // of a matrix of gradients (methods.md 2.6)

bool is_measured_otherwise(std::string_view key) {
  return key.starts_with("objective.") || key.starts_with("target.");
}

double number_at(const json& cost, const char* key) {
  const auto found = cost.find(key);
  require(found != cost.end() && (found->is_number() || found->is_null()),
          "{}: expected a number, found {}", key, found == cost.end() ? "nothing" : found->dump());
  if (found->is_null()) return std::numeric_limits<double>::quiet_NaN();
  const double number = found->get<double>();
  require(std::isfinite(number) && number >= 0, "{}: expected a number from 0, found {}", key,
          number);
  return number;
}

const json& object_at(const json& parent, const char* key) {
  require(parent.is_object(), "expected an object, found {}", parent.type_name());
  const auto found = parent.find(key);
  require(found != parent.end() && found->is_object(), "{}: expected an object, found {}", key,
          found == parent.end() ? "nothing" : found->type_name());
  return *found;
}

std::map<std::string, CandidateCost> parse_costs(const json& costs) {
  require(costs.is_object() && !costs.empty(), "expected candidates, found {}", costs.type_name());
  std::map<std::string, CandidateCost> parsed;
  for (const auto& [name, cost] : costs.items())
    with_context(printable(name), [&, &name = name, &cost = cost] {
      require(cost.is_object(), "expected an object, found {}", cost.type_name());
      parsed[name] = {number_at(cost, "bits"), number_at(cost, "kl")};
      require(parsed[name].bits > 0, "bits: expected a number above 0");
    });
  return parsed;
}

// What one pass works with.
struct Pass {
  const BitMenu& menu;
  const Recipe& recipe;  // of the run
  double predictions;    // of the calibration
};

// 1/2 tr(E H E^T), H weighted by the squared gradients of the end loss: nats, then a prediction.
double estimated_kl(const Pass& pass, const at::Tensor& weight, const QuantizedLinear& quantized,
                    const at::Tensor& hessian) {
  const at::Tensor error = weight - dequantize(quantized).to(weight.scalar_type());
  return 0.5 * reported_quadratic_form(error, hessian) / pass.predictions;
}

// What the run's own recipe measures errors by, in the full-precision model; where it follows the
// end loss or only its diagonal, that is what costs are counted by too.
ObjectiveOptions solving_objective(const ObjectiveOptions& of_run,
                                   const ObjectiveOptions& counting) {
  const bool as_it_is = of_run.kind == ObjectiveKind::kInput || !of_run.needs_sequences();
  return as_it_is ? of_run : counting;
}

// Statistics that linears are solved by: of those that go by their inputs nothing of their own.
StageStatistics solving_statistics(const Pass& pass, std::span<const LinearSlot> linears,
                                   const StageStatistics& statistics) {
  StageStatistics solving = statistics;
  for (const LinearSlot& linear : linears)
    if (pass.recipe.for_linear(linear.name).objective.kind == ObjectiveKind::kInput)
      solving.linears.erase(linear.name);
  return solving;
}

std::map<std::string, CandidateCost> costs_of(const Pass& pass, const LinearSlot& linear,
                                              const at::Tensor& hessian, StageSolvers& solvers) {
  const at::Tensor weight = pass.menu.job.weight(linear);
  const ObjectiveOptions of_run = pass.recipe.for_linear(linear.name).objective;
  std::map<std::string, CandidateCost> costs;
  for (const LinearCandidate& candidate : pass.menu.of(linear)) {
    LinearRecipe recipe = candidate.recipe;
    recipe.objective = solving_objective(of_run, recipe.objective);
    const LinearOutcome outcome =
        recipe.objective.needs_sequences()
            ? solvers.quantize(linear, recipe, weight)
            : with_context(linear.name, [&] {
                return LinearSolver(LinearStatistics{}, recipe, pass.menu.job.execution().threads)
                    .quantize(weight);
              });
    // a linear that no token reached costs nothing
    const double kl =
        hessian.defined() ? estimated_kl(pass, weight, outcome.quantized, hessian) : 0;
    costs[pass.menu.candidates[candidate.candidate].name] = {bits_per_weight(outcome.quantized),
                                                             kl};
  }
  return costs;
}

// The class of each image, or the token behind each position but the last.
double predictions_of(const ModelInputs& inputs) {
  const int64_t of_sequence = inputs.labels.defined() ? 1 : inputs.items.size(1) - 1;
  return static_cast<double>(inputs.items.size(0) * of_sequence);
}

}  // namespace

const CandidateCost& Sensitivities::of(const std::string& linear,
                                       const std::string& candidate) const {
  const auto costs = linears.find(linear);
  require(costs != linears.end() && costs->second.contains(candidate), "{}, {}: not measured",
          linear, candidate);
  return costs->second.at(candidate);
}

void to_json(json& out, const Sensitivities& sensitivities) {
  json linears = json::object();
  for (const auto& [linear, costs] : sensitivities.linears)
    for (const auto& [candidate, cost] : costs)
      linears[linear][candidate] = {{"bits", cost.bits}, {"kl", cost.kl}};
  out = {{"sensitivities", kFileVersion},
         {"identity", sensitivities.identity},
         {"linears", std::move(linears)}};
}

Sensitivities parse_sensitivities(std::string_view text) {
  const json all = parse_strict_json(text);
  require(all.is_object() && all.contains("sensitivities"),
          "expected what --target-bits has measured, found something else");
  require(all["sensitivities"] == kFileVersion, "sensitivities: expected version {}, found {}",
          kFileVersion, printable(all["sensitivities"].dump()));
  Sensitivities parsed{.identity = object_at(all, "identity"), .linears = {}};
  for (const auto& [linear, costs] : object_at(all, "linears").items())
    with_context(printable(linear), [&, &linear = linear, &costs = costs] {
      parsed.linears[linear] = parse_costs(costs);
    });
  return parsed;
}

Recipe measuring_recipe(Recipe recipe) {
  const double damping = std::max(recipe.common.objective.damping, kLeastDamping);
  recipe.common.objective = {.kind = ObjectiveKind::kGuided, .damping = damping};
  recipe.common.target = {};
  recipe.model.labels = LabelKind::kSampled;
  recipe.model.schedule = ScheduleKind::kOneShot;
  for (RecipeRule& rule : recipe.rules)
    std::erase_if(rule.settings,
                  [](const auto& setting) { return is_measured_otherwise(setting.first); });
  return recipe;
}

json identity_of_sensitivities(const BitMenu& menu, const Recipe& recipe) {
  json identity = comparable(menu.job.identity());
  // what changes the last digits alone, or nothing
  for (const char* key : {"threads", "products", "compute", "device", "matrix_types"})
    identity.erase(key);
  identity["recipe"] = to_toml(recipe);
  for (const BitCandidate& candidate : menu.candidates)
    for (const auto& [key, text] : candidate.settings)
      identity["candidates"][candidate.name][key] = text;
  return identity;
}

Sensitivities measure_sensitivities(const BitMenu& menu, const Recipe& recipe, Progress& progress) {
  const QuantizeJob& job = menu.job;
  const ModelInputs inputs = job.calibration_inputs();
  const Pass pass{menu, recipe, predictions_of(inputs)};
  CalibrationOptions options = job.calibration_options();
  options.inputs = true;
  Calibration calibration(job.model(), inputs, job.execution(), std::move(options), progress);
  Sensitivities found{.identity = identity_of_sensitivities(menu, recipe), .linears = {}};
  progress.begin("sensitivities", job.linear_count());
  for (int64_t index = 0; index < job.model().config().layers; ++index) {
    calibration.enter(index);
    for (int stage = 0; stage < job.model().family().stages; ++stage) {
      const StageStatistics statistics = calibration.measure(stage);
      const auto linears = job.model().linears_of_stage(index, stage);
      const StageStatistics solving = solving_statistics(pass, linears, statistics);
      StageSolvers solvers(solving, job.execution().threads);
      for (const LinearSlot& linear : linears) {
        found.linears[linear.name] = costs_of(pass, linear, statistics.of(linear).hessian, solvers);
        progress.update(static_cast<int64_t>(found.linears.size()), linear.name);
      }
    }
    calibration.leave();
  }
  progress.end();
  return found;
}

}  // namespace halftone
