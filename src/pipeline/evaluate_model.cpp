#include "pipeline/evaluate_model.h"

#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/place.h"
#include "pipeline/bits.h"
#include "pipeline/model_images.h"
#include "pipeline/opened_model.h"
#include "pipeline/output_place.h"
#include "pipeline/scores_json.h"
#include "pipeline/source_check.h"
#include "pipeline/text_scores.h"

namespace halftone {
namespace {

using nlohmann::json;

// Steps carry the model's name where several take their turn.
class NamedProgress final : public Progress {
 public:
  NamedProgress(Progress& progress, std::string name)
      : progress_(progress), name_(std::move(name)) {}
  void begin(std::string_view step, int64_t total) override {
    progress_.begin(fmt::format("{} {}", step, name_), total);
  }
  void start_at(int64_t done) override { progress_.start_at(done); }
  void update(int64_t done, std::string_view detail) override { progress_.update(done, detail); }
  void end() override { progress_.end(); }

 private:
  Progress& progress_;
  std::string name_;
};

// The results that have to be numbers, in the order in which they are named.
std::vector<std::pair<std::string, double>> results_of(const json& result) {
  std::vector<std::pair<std::string, double>> found;
  const auto add = [&](const std::string& name, const json& in, const std::string& member) {
    found.emplace_back(name, in.at(member).get<double>());
  };
  for (const char* name : {"perplexity", "reference_perplexity", "cross_entropy"})
    if (result.contains(name)) add(name, result.at(name), "value");
  if (result.contains("kl")) add("kl", result.at("kl"), "mean");
  if (result.contains("tasks"))
    for (const auto& [name, task] : result.at("tasks").items()) {
      const auto metric = task.at("metric").get<std::string>();
      add("tasks." + name, task, metric);
      if (task.contains("reference"))
        add(fmt::format("tasks.{}.reference", name), task.at("reference"), metric);
    }
  return found;
}

// The first result that is no number, with its likely cause; empty: all are numbers.
std::string failure_of(const json& result, const OpenedModel& opened,
                       const OpenedModel* reference) {
  for (const auto& [name, value] : results_of(result)) {
    if (std::isfinite(value)) continue;
    std::string cause = first_not_finite(opened);
    if (cause.empty() && reference != nullptr) {
      cause = first_not_finite(*reference);
      if (!cause.empty()) cause = "reference: " + cause;
    }
    return fmt::format(
        "{}: expected a number, found {}; {}", name, number_text(value),
        cause.empty() ? "every weight is finite, likely an overflow as the model runs" : cause);
  }
  return "";
}

// What the files of both models gave rise to, in the order in which they are named.
std::vector<std::string> notes_of(const OpenedModel& opened, const OpenedModel* reference) {
  std::vector<std::string> notes = opened.notes();
  if (reference != nullptr)
    for (const std::string& note : reference->notes()) notes.push_back("reference: " + note);
  return notes;
}

// What an evaluation runs.
struct Evaluated {
  const OpenedModel& model;
  const OpenedModel* reference;  // may be null
  Execution execution;
};

// Returns what users should know.
std::vector<std::string> add_task_results(const EvaluateRequest& request,
                                          const Evaluated& evaluated, Progress& progress,
                                          json& result) {
  require_reads_text(evaluated.model);
  TaskResults results = evaluate_tasks(request.tasks, evaluated.model, evaluated.reference,
                                       evaluated.execution, progress);
  result["tasks"] = std::move(results.tasks);
  result["tasks_mean"] = std::move(results.mean);
  return results.notes;
}

void add_image_scores(const EvaluateRequest& request, const Evaluated& evaluated,
                      Progress& progress, json& result) {
  const ModelImages images(evaluated.model, *request.images);
  std::vector<int64_t> all(static_cast<size_t>(images.count()));
  std::iota(all.begin(), all.end(), 0);
  result["images"] = request.images->string();
  result["protocol"] = {{"name", "images"},
                        {"images", images.count()},
                        {"classes", evaluated.model.model.config().vocab},
                        {"preprocessing", images.preprocessing()}};
  add_scores(score_images(evaluated.model.model,
                          evaluated.reference ? &evaluated.reference->model : nullptr,
                          images.batches(all), evaluated.execution, progress),
             result);
}

// One path, a list of several, or null.
json text_json(const std::vector<std::filesystem::path>& texts) {
  if (texts.empty()) return nullptr;
  if (texts.size() == 1) return texts.front().string();
  json list = json::array();
  for (const std::filesystem::path& text : texts) list.push_back(text.string());
  return list;
}

json evaluate(const EvaluateRequest& request, Progress& progress, KeptReference* kept) {
  const auto start = std::chrono::steady_clock::now();
  const Execution execution =
      choose_execution(request.device, request.compute, request.threads, false);
  const OpenedModel opened(request.model);
  std::optional<OpenedModel> reference;
  std::optional<LogProbabilityFile> kept_reference;
  if (request.reference && is_log_probability_file(*request.reference))
    kept_reference.emplace(*request.reference);
  else if (request.reference)
    reference.emplace(*request.reference);
  require(request.windows >= 0, "--windows {}: expected 0 (all) or more", request.windows);
  const Evaluated evaluated{opened, reference ? &*reference : nullptr, execution};
  const bool has_text = !request.texts.empty();
  json result = {{"model", request.model.string()},
                 {"reference", request.reference ? json(request.reference->string()) : json()},
                 {"text", text_json(request.texts)},
                 {"format", opened.weights->format()},
                 {"compute", dtype_name(execution.dtype)}};
  std::vector<std::string> notes = notes_of(opened, evaluated.reference);
  if (has_text || kept_reference)
    add_text_scores(request,
                    {opened, evaluated.reference, kept_reference ? &*kept_reference : nullptr},
                    execution, progress, kept, result);
  if (request.images) add_image_scores(request, evaluated, progress, result);
  if (!request.tasks.names.empty())
    for (std::string& note : add_task_results(request, evaluated, progress, result))
      notes.push_back(std::move(note));
  if (auto failure = failure_of(result, opened, evaluated.reference); !failure.empty())
    result["failure"] = std::move(failure);
  if (!notes.empty()) result["notes"] = std::move(notes);
  result["bits_per_weight"] = bits_of(*opened.weights, opened.model);
  result["bytes"] = opened.weights->source().stored_bytes();
  result["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result["peak_rss_bytes"] = peak_resident_bytes();
  return result;
}

}  // namespace

std::vector<std::filesystem::path> inputs_of(const std::vector<std::filesystem::path>& models,
                                             const EvaluateRequest& request) {
  std::vector<std::filesystem::path> inputs = inputs_of(request.tasks), all = models;
  inputs.insert(inputs.end(), request.texts.begin(), request.texts.end());
  if (request.images) inputs.push_back(*request.images);
  if (request.reference && is_log_probability_file(*request.reference))
    inputs.push_back(*request.reference);
  else if (request.reference)
    all.push_back(*request.reference);
  for (const std::filesystem::path& model : all)
    for (const std::filesystem::path& file : files_of_model(model)) inputs.push_back(file);
  return inputs;
}

json evaluate_model(const EvaluateRequest& request, Progress& progress) {
  return evaluate(request, progress, nullptr);
}

std::vector<json> compare_models(const std::vector<std::filesystem::path>& models,
                                 const EvaluateRequest& request, Progress& progress) {
  // before the first one's minutes, so that none is lost to the last one's name
  for (const std::filesystem::path& model : models) static_cast<void>(OpenedModel(model));
  std::vector<json> evaluations;
  KeptReference reference;
  EvaluateRequest one = request;
  for (const std::filesystem::path& model : models) {
    one.model = model;
    one.reference = std::nullopt;
    if (!evaluations.empty()) {
      one.reference = models.front();
      one.length = evaluations.front().at("protocol").at("length").get<int64_t>();
    }
    NamedProgress named(progress, printable(last_name(model)));
    evaluations.push_back(evaluate(one, named, &reference));
  }
  return evaluations;
}

}  // namespace halftone
