#include "pipeline/text_scores.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/place.h"
#include "evaluate/llama_statistics.h"
#include "evaluate/statistics.h"
#include "pipeline/generation_check.h"
#include "pipeline/model_tokenizer.h"
#include "text/tokens_around.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kLlamaLength = 512;  // tokens a window, llama-perplexity's default

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

json to_json(const TokenMean& mean) {
  return {{"value", mean.value}, {"stderr", mean.error}};
}

json to_json(const TokenDistribution& distribution) {
  json result = {{"mean", distribution.mean.value}, {"stderr", distribution.mean.error}};
  for (const auto& [name, p] : {std::pair{"max", 1.0},
                                {"p999", 0.999},
                                {"p99", 0.99},
                                {"p95", 0.95},
                                {"p90", 0.9},
                                {"p75", 0.75},
                                {"median", 0.5},
                                {"p25", 0.25},
                                {"p10", 0.1},
                                {"p05", 0.05},
                                {"p01", 0.01},
                                {"p001", 0.001},
                                {"min", 0.0}})
    result[name] = distribution.quantile(p);
  return result;
}

json llama_json(const Scores& scores) {
  const LlamaStatistics statistics = llama_statistics(scores);
  return {{"perplexity", to_json(statistics.perplexity)},
          {"base_perplexity", to_json(statistics.base_perplexity)},
          {"correlation", statistics.correlation},
          {"log_ratio", to_json(statistics.log_ratio)},
          {"ratio", to_json(statistics.ratio)},
          {"difference", to_json(statistics.difference)},
          {"kl", to_json(statistics.kl)},
          {"probability_change", to_json(statistics.change)},
          {"probability_change_rms", to_json(statistics.change_rms)},
          {"top1", to_json(statistics.same_top)}};
}

int64_t length_of(const TextRequest& request, const TextModels& models) {
  const ModelConfig& config = models.model.model.config();
  const bool llama = request.protocol == Protocol::kLlama;
  const int64_t asked =
      request.length == 0 && llama ? std::min(kLlamaLength, config.context) : request.length;
  const int64_t length = checked_length(asked, config);
  if (models.reference) checked_length(length, models.reference->model.config());
  return length;
}

TokenWindows cut(const TextRequest& request, const Corpus& corpus, int64_t length) {
  return with_path(request.text, [&] {
    return request.protocol == Protocol::kLlama ? llama_windows(corpus, length, request.windows)
                                                : disjoint_windows(corpus, length, request.windows);
  });
}

Corpus read_corpus_of_both(const TextRequest& request, const TextModels& models) {
  Corpus corpus = read_corpus_for(models.model, request.text);
  if (models.reference == nullptr) return corpus;
  const Corpus again = read_corpus_for(*models.reference, request.text);
  require(again.ids_sha256 == corpus.ids_sha256,
          "{} and {} turn {} into different tokens: their distributions cannot be compared",
          models.model.path.string(), models.reference->path.string(), request.text.string());
  return corpus;
}

// What the model's tokenizer puts in front of a text; nothing: no token, or no text.
std::optional<TokenId> bos_of(const OpenedModel& opened, const Corpus* corpus) {
  if (corpus != nullptr) return corpus->bos ? std::optional(corpus->ids.front()) : std::nullopt;
  const TokensAround around = tokens_around(*open_model_tokenizer(opened.path));
  return around.before.empty() ? std::nullopt : std::optional(around.before.front());
}

// The windows that the reference's file holds, which the text, if any, has to have.
TokenWindows kept_windows(const TextRequest& request, const TextModels& models,
                          const Corpus* corpus) {
  const ModelConfig& config = models.model.model.config();
  TokenWindows windows = models.kept_reference->windows(request.windows);
  require(windows.length <= config.context,
          "the reference's windows of {} tokens: the model's context is {} tokens", windows.length,
          config.context);
  require(request.length == 0 || request.length == windows.length,
          "--length {}: the reference's file has windows of {} tokens", request.length,
          windows.length);
  if (corpus != nullptr)
    require(corpus->ids.size() >= windows.ids.size() &&
                std::equal(windows.ids.begin(), windows.ids.end(), corpus->ids.begin()),
            "{}: other tokens than in the reference's file; another text or tokenizer?",
            request.text.string());
  if (const auto bos = bos_of(models.model, corpus)) begin_with(*bos, windows);
  return windows;
}

}  // namespace

void add_text_scores(const TextRequest& request, const TextModels& models,
                     const Execution& execution, Progress& progress, ReferenceStates* states,
                     json& result) {
  std::optional<Corpus> corpus;
  if (!request.text.empty()) corpus = read_corpus_of_both(request, models);
  const ModelConfig& config = models.model.model.config();
  const TokenWindows windows = models.kept_reference
                                   ? kept_windows(request, models, corpus ? &*corpus : nullptr)
                                   : cut(request, corpus.value(), length_of(request, models));
  std::optional<LogProbabilityWriter> writer;
  if (!request.written.empty())
    writer.emplace(request.written, disjoint_windows(corpus.value(), windows.length, windows.count),
                   config.vocab);
  Scores scores = score_windows(
      models.model.model, models.reference ? &models.reference->model : nullptr, windows, execution,
      progress, {states, models.kept_reference, writer ? &*writer : nullptr});
  if (writer) writer->commit();
  const bool llama = request.protocol == Protocol::kLlama;
  json& protocol = result["protocol"] = {{"name", llama ? "llama" : "paper"},
                                         {"length", windows.length},
                                         {"windows", windows.count},
                                         {"tokens", windows.count * scores.positions}};
  if (corpus) {
    protocol["bos"] = corpus->bos;
    protocol["tokenizer"] = corpus->description;
    protocol["round_trip"] = corpus->round_trip;
    protocol["ids_sha256"] = corpus->ids_sha256;
  }
  if (request.generate > 0)
    result["generation"] = check_generation(models.model, models.reference, windows.ids,
                                            request.generate, execution, progress);
  result["perplexity"] = to_json(perplexity(scores.nll, scores.windows));
  if (scores.kl.empty()) return;
  result["reference_perplexity"] = to_json(perplexity(scores.reference_nll, scores.windows));
  result["top1"] = to_json(mean_over_windows(scores.same_top, scores.windows));
  if (llama) result["llama"] = llama_json(scores);
  result["kl"] = divergence_json(scores);
}

}  // namespace halftone
