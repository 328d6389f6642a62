#include "pipeline/generate_text.h"

#include <chrono>

#include "base/error.h"
#include "base/memory.h"
#include "base/place.h"
#include "base/utf8.h"
#include "evaluate/token_request.h"
#include "pipeline/end_tokens.h"
#include "pipeline/model_tokenizer.h"
#include "pipeline/source_check.h"

namespace halftone {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

void require_utf8(const char* option, const std::string& text) {
  const size_t bad = first_invalid_utf8(text);
  require(bad == text.size(), "{}: expected UTF-8, byte {} is none", option, bad);
}

// What the model reads: the prompt, or a chat's turns as its template writes them.
std::string prompt_text(const GenerateRequest& request, const OpenedModel& opened) {
  require_utf8("--prompt", request.prompt);
  if (!request.chat) return request.prompt;
  require_utf8("--system", request.system);
  std::vector<ChatTurn> turns;
  if (!request.system.empty()) turns.push_back({"system", request.system});
  turns.push_back({"user", request.prompt});
  const ChatTemplate chat = open_model_chat(opened.path);
  return with_path(opened.path, [&] { return chat.render(turns); });
}

std::vector<TokenId> prompt_tokens(const GenerateRequest& request, const std::string& text,
                                   const Tokenizer& tokenizer, const ModelConfig& config) {
  const RequestEncoder encoder(tokenizer, config.vocab);
  std::vector<TokenId> ids = with_context("--prompt", [&] {
    return request.chat ? encoder.encode_marked(text) : encoder.encode_prompt(text);
  });
  require(static_cast<int64_t>(ids.size()) <= config.context,
          "--prompt: {} tokens, expected at most {}, the model's context", ids.size(),
          config.context);
  return ids;
}

void require_finite(const GeneratedText& text, const OpenedModel& opened) {
  if (text.finish != Finish::kNotFinite) return;
  const std::string cause = first_not_finite(opened);
  fail("{}: token {}: expected logits that are numbers; {}", shown(opened.path),
       text.ids.size() + 1,
       cause.empty() ? "every weight is finite, likely an overflow as the model runs" : cause);
}

}  // namespace

nlohmann::json generate_text(const GenerateRequest& request, Progress& progress,
                             const std::function<void(std::string_view)>& grown,
                             const std::function<void()>& step) {
  const Clock::time_point start = Clock::now();
  const Execution execution =
      choose_execution(request.device, request.compute, request.threads, false);
  const OpenedModel opened(request.model);
  require_reads_text(opened);
  const auto tokenizer = open_model_tokenizer(opened.path);
  const std::string prompt = prompt_text(request, opened);
  const std::vector<std::vector<TokenId>> prompts = {
      prompt_tokens(request, prompt, *tokenizer, opened.model.config())};
  const GenerationOptions options{.max_tokens = request.max_tokens,
                                  .sampling = request.sampling,
                                  .stops = request.stops,
                                  .ends = end_tokens(opened)};
  progress.begin("load", opened.model.config().layers);
  HeldModel held(opened.model, execution, [&](int64_t block) {
    progress.update(block + 1, fmt::format("block {}", block));
  });
  progress.end();
  const Clock::time_point loaded = Clock::now();
  Clock::time_point first = loaded;  // when the first token is there
  bool begun = false;
  GeneratedText text;
  generate(held, *tokenizer, options, prompts,
           {.grown = [&](size_t, std::string_view more) { grown(more); },
            .finished = [&](size_t, GeneratedText all) { text = std::move(all); },
            .step =
                [&] {
                  if (!begun) first = Clock::now();
                  begun = true;
                  step();
                }});
  const Clock::time_point end = Clock::now();
  require_finite(text, opened);
  const double decoding = seconds_between(first, end);
  nlohmann::json result = {{"model", request.model.string()},
                           {"format", opened.weights->format()},
                           {"compute", dtype_name(execution.dtype)},
                           {"prompt", prompt},
                           {"text", text.text},
                           {"finish", name_of(text.finish)},
                           {"prompt_ids", prompts.front()},
                           {"ids", text.ids},
                           {"seconds",
                            {{"load", seconds_between(start, loaded)},
                             {"prompt", seconds_between(loaded, first)},
                             {"decode", decoding}}},
                           {"peak_rss_bytes", peak_resident_bytes()}};
  const auto behind_first = static_cast<double>(text.ids.size()) - 1;
  result["tokens_per_second"] =
      behind_first > 0 && decoding > 0 ? nlohmann::json(behind_first / decoding) : nullptr;
  if (auto notes = opened.notes(); !notes.empty()) result["notes"] = std::move(notes);
  return result;
}

}  // namespace halftone
