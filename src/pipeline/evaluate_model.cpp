#include "pipeline/evaluate_model.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/place.h"
#include "evaluate/score.h"
#include "evaluate/statistics.h"
#include "pipeline/bits.h"
#include "pipeline/opened_model.h"
#include "pipeline/output_place.h"
#include "pipeline/source_check.h"

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

json to_json(const Estimate& estimate) {
  json error = nullptr;
  if (estimate.standard_error) error = *estimate.standard_error;
  return {{"value", estimate.value}, {"stderr", error}};
}

json divergence_json(Scores& scores) {
  const Estimate mean = mean_over_windows(scores.kl, scores.windows);
  json kl = to_json(mean);
  const auto quantile = [&](double p) {  // NaN has no place in an order
    return std::isnan(mean.value) ? mean.value : percentile(scores.kl, p);
  };
  return {{"mean", kl["value"]},   {"stderr", kl["stderr"]},  {"median", quantile(0.5)},
          {"p99", quantile(0.99)}, {"p999", quantile(0.999)}, {"max", quantile(1)}};
}

// The results that have to be numbers, in the order in which they are named.
std::vector<std::pair<std::string, double>> results_of(const json& result) {
  std::vector<std::pair<std::string, double>> found;
  const auto add = [&](const std::string& name, const json& in, const char* member) {
    found.emplace_back(name, in.at(member).get<double>());
  };
  for (const char* name : {"perplexity", "reference_perplexity"})
    if (result.contains(name)) add(name, result.at(name), "value");
  if (result.contains("kl")) add("kl", result.at("kl"), "mean");
  if (result.contains("tasks"))
    for (const auto& [name, task] : result.at("tasks").items()) {
      add("tasks." + name, task, "acc");
      if (task.contains("reference"))
        add(fmt::format("tasks.{}.reference", name), task.at("reference"), "acc");
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

Corpus read_corpus_for_both(const EvaluateRequest& request, const Evaluated& evaluated) {
  Corpus corpus = read_corpus_for(evaluated.model, request.text);
  if (evaluated.reference == nullptr) return corpus;
  const Corpus again = read_corpus_for(*evaluated.reference, request.text);
  require(again.ids_sha256 == corpus.ids_sha256,
          "{} and {} turn {} into different tokens: their distributions cannot be compared",
          request.model.string(), request.reference->string(), request.text.string());
  return corpus;
}

void add_text_results(const EvaluateRequest& request, const Evaluated& evaluated,
                      Progress& progress, ReferenceStates* kept, json& result) {
  const Model* reference = evaluated.reference ? &evaluated.reference->model : nullptr;
  const Corpus corpus = read_corpus_for_both(request, evaluated);
  const int64_t length = checked_length(request.length, evaluated.model.model.config());
  if (reference) checked_length(length, reference->config());
  const TokenWindows windows =
      with_path(request.text, [&] { return disjoint_windows(corpus, length, request.windows); });
  Scores scores =
      score_windows(evaluated.model.model, reference, windows, evaluated.execution, progress, kept);
  result["protocol"] = {{"length", length},
                        {"windows", windows.count},
                        {"tokens", windows.count * (length - 1)},
                        {"bos", corpus.bos},
                        {"tokenizer", corpus.description},
                        {"round_trip", corpus.round_trip},
                        {"ids_sha256", corpus.ids_sha256}};
  result["perplexity"] = to_json(perplexity(scores.nll, scores.windows));
  if (!reference) return;
  result["reference_perplexity"] = to_json(perplexity(scores.reference_nll, scores.windows));
  result["top1"] = to_json(mean_over_windows(scores.same_top, scores.windows));
  result["kl"] = divergence_json(scores);
}

// Returns what users should know.
std::vector<std::string> add_task_results(const EvaluateRequest& request,
                                          const Evaluated& evaluated, Progress& progress,
                                          json& result) {
  TaskResults results = evaluate_tasks(request.tasks, evaluated.model, evaluated.reference,
                                       evaluated.execution, progress);
  result["tasks"] = std::move(results.tasks);
  result["tasks_mean"] = std::move(results.mean);
  return results.notes;
}

json evaluate(const EvaluateRequest& request, Progress& progress, ReferenceStates* kept) {
  const auto start = std::chrono::steady_clock::now();
  const Execution execution =
      choose_execution(request.device, request.compute, request.threads, false);
  const OpenedModel opened(request.model);
  std::optional<OpenedModel> reference;
  if (request.reference) reference.emplace(*request.reference);
  require(request.windows >= 0, "--windows {}: expected 0 (all) or more", request.windows);
  const Evaluated evaluated{opened, reference ? &*reference : nullptr, execution};
  const bool has_text = !request.text.empty();
  json result = {{"model", request.model.string()},
                 {"reference", request.reference ? json(request.reference->string()) : json()},
                 {"text", has_text ? json(request.text.string()) : json()},
                 {"format", opened.weights->format()},
                 {"compute", dtype_name(execution.dtype)}};
  std::vector<std::string> notes = notes_of(opened, evaluated.reference);
  if (has_text) add_text_results(request, evaluated, progress, kept, result);
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
  if (!request.text.empty()) inputs.push_back(request.text);
  if (request.reference) all.push_back(*request.reference);
  for (const std::filesystem::path& model : all)
    for (const std::filesystem::path& file : files_of_model(model)) inputs.push_back(file);
  return inputs;
}

json evaluate_model(const EvaluateRequest& request, Progress& progress) {
  return evaluate(request, progress, nullptr);
}

std::vector<json> compare_models(const std::vector<std::filesystem::path>& models,
                                 const EvaluateRequest& request, Progress& progress) {
  std::vector<json> evaluations;
  ReferenceStates reference;
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
