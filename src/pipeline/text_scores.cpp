#include "pipeline/text_scores.h"

#include <algorithm>

#include "base/error.h"
#include "base/place.h"
#include "evaluate/statistics.h"
#include "pipeline/generation_check.h"
#include "pipeline/model_tokenizer.h"
#include "pipeline/scores_json.h"
#include "text/tokens_around.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr int64_t kLlamaLength = 512;  // tokens a window, llama-perplexity's default

int64_t length_of(const TextRequest& request, const TextModels& models) {
  const ModelConfig& config = models.model.model.config();
  const bool llama = request.protocol == Protocol::kLlama;
  const int64_t asked =
      request.length == 0 && llama ? std::min(kLlamaLength, config.context) : request.length;
  const int64_t length = checked_length(asked, config);
  if (models.reference) checked_length(length, models.reference->model.config());
  return length;
}

TokenWindows cut(const TextRequest& request, const std::filesystem::path& text,
                 const Corpus& corpus, int64_t length) {
  return with_path(text, [&] {
    return request.protocol == Protocol::kLlama ? llama_windows(corpus, length, request.windows)
                                                : disjoint_windows(corpus, length, request.windows);
  });
}

Corpus read_corpus_of_both(const std::filesystem::path& text, const TextModels& models) {
  Corpus corpus = read_corpus_for(models.model, text);
  if (models.reference == nullptr) return corpus;
  const Corpus again = read_corpus_for(*models.reference, text);
  require(again.ids_sha256 == corpus.ids_sha256,
          "{} and {} turn {} into different tokens: their distributions cannot be compared",
          models.model.path.string(), models.reference->path.string(), text.string());
  return corpus;
}

// A text as the models read it.
struct ReadText {
  std::filesystem::path path;
  Corpus corpus;
  int64_t windows = 0;  // of it that are scored
};

std::vector<ReadText> read_texts(const TextRequest& request, const TextModels& models) {
  std::vector<ReadText> texts;
  for (const std::filesystem::path& text : request.texts)
    texts.push_back({text, read_corpus_of_both(text, models)});
  return texts;
}

// Those of all texts, one after another.
TokenWindows windows_of_all(const TextRequest& request, int64_t length,
                            std::vector<ReadText>& texts) {
  TokenWindows all{0, length, {}};
  for (ReadText& text : texts) {
    const TokenWindows own = cut(request, text.path, text.corpus, length);
    text.windows = own.count;
    all.count += own.count;
    all.first_scored = own.first_scored;
    all.ids.insert(all.ids.end(), own.ids.begin(), own.ids.end());
  }
  return all;
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
            request.texts.front().string());
  if (const auto bos = bos_of(models.model, corpus)) begin_with(*bos, windows);
  return windows;
}

TokenWindows scored_windows(const TextRequest& request, const TextModels& models,
                            std::vector<ReadText>& texts) {
  if (models.kept_reference == nullptr)
    return windows_of_all(request, length_of(request, models), texts);
  const Corpus* corpus = texts.empty() ? nullptr : &texts.front().corpus;
  return kept_windows(request, models, corpus);
}

json identity_json(const Corpus& corpus) {
  return {{"bos", corpus.bos},
          {"tokenizer", corpus.description},
          {"round_trip", corpus.round_trip},
          {"ids_sha256", corpus.ids_sha256}};
}

json protocol_json(const TextRequest& request, const TokenWindows& windows, int64_t positions,
                   const std::vector<ReadText>& texts) {
  const bool llama = request.protocol == Protocol::kLlama;
  json protocol = {{"name", llama ? "llama" : "paper"},
                   {"length", windows.length},
                   {"windows", windows.count},
                   {"tokens", windows.count * positions}};
  if (texts.size() == 1) protocol.update(identity_json(texts.front().corpus));
  return protocol;
}

// Several texts: each by itself, and how unequally they fare.
void add_groups(const std::vector<ReadText>& texts, const Scores& scores, json& result) {
  std::vector<std::vector<double>> groups;
  int64_t first = 0;
  for (const ReadText& text : texts) {
    const Scores own = scores_of_windows(scores, first, text.windows);
    first += text.windows;
    json row = identity_json(text.corpus);
    row.update({{"text", text.path.string()},
                {"windows", own.windows},
                {"tokens", own.windows * own.positions}});
    add_scores(own, row);
    result["texts"].push_back(std::move(row));
    if (!own.kl.empty()) groups.push_back(window_means(own.kl, own.windows));
  }
  if (groups.empty()) return;
  const GroupSpread spread = spread_of_groups(groups);
  result["groups"] = groups_json(spread);
  result["groups"]["worst_text"] = texts[spread.worst_group].path.string();
}

}  // namespace

void add_text_scores(const TextRequest& request, const TextModels& models,
                     const Execution& execution, Progress& progress, KeptReference* kept,
                     json& result) {
  KeptReference of_this_text;
  KeptReference& reference = kept ? *kept : of_this_text;
  require(request.texts.size() <= 1 || (request.written.empty() && !models.kept_reference),
          "a file of log-probabilities goes with one --text, found {}", request.texts.size());
  std::vector<ReadText> texts = read_texts(request, models);
  const TokenWindows windows = scored_windows(request, models, texts);
  std::optional<LogProbabilityWriter> writer;
  if (!request.written.empty())
    writer.emplace(request.written,
                   disjoint_windows(texts.at(0).corpus, windows.length, windows.count),
                   models.model.model.config().vocab);
  const Scores scores = score_windows(
      models.model.model, models.reference ? &models.reference->model : nullptr, windows, execution,
      progress,
      {kept ? &kept->states : nullptr, models.kept_reference, writer ? &*writer : nullptr});
  if (writer) writer->commit();
  result["protocol"] = protocol_json(request, windows, scores.positions, texts);
  if (request.generate > 0)
    result["generation"] = check_generation(models.model, models.reference, windows.ids,
                                            request.generate, execution, progress);
  add_scores(scores, result);
  if (texts.size() > 1) add_groups(texts, scores, result);
  if (scores.kl.empty()) return;
  if (request.protocol == Protocol::kLlama) result["llama"] = llama_json(scores);
  if (models.reference)
    add_noise_floor(models.reference->model, windows, execution, progress, reference.noise_floor,
                    result);
}

}  // namespace halftone
