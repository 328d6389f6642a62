#include "pipeline/generation_check.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

#include "base/error.h"
#include "base/place.h"
#include "evaluate/generate.h"
#include "evaluate/task_statistics.h"
#include "evaluate/token_request.h"
#include "pipeline/end_tokens.h"
#include "pipeline/model_tokenizer.h"
#include "text/tokens_around.h"

namespace halftone {
namespace {

using nlohmann::json;
using Prompts = std::vector<std::vector<TokenId>>;

constexpr int64_t kPromptTokens = 32, kNewTokens = 96;

// Rows to go on with by one more.
constexpr const char* kRows[] = {
    R"({"name": "Anna", "age": 34, "city": "Oslo", "tags": ["fast", "blue"]}
{"name": "Ben", "age": 27, "city": "Rome", "tags": ["slow"]}
{"name": "Clara", "age": 61, "city": "Paris", "tags": ["green", "old"]}
)",
    R"({"id": 1, "title": "The lake", "price": 12.5, "sold": true}
{"id": 2, "title": "A winter", "price": 8.0, "sold": false}
{"id": 3, "title": "Two roads", "price": 21.9, "sold": true}
)",
    R"({"from": "London", "to": {"city": "Berlin", "zip": "10115"}, "km": 1093}
{"from": "Madrid", "to": {"city": "Lisbon", "zip": "1000"}, "km": 625}
{"from": "Vienna", "to": {"city": "Prague", "zip": "11000"}, "km": 334}
)",
    R"({"question": "What is 2 + 3?", "answer": 5}
{"question": "What is 7 - 4?", "answer": 3}
{"question": "What is 6 + 6?", "answer": 12}
)"};

// Told how many texts are finished, after every row of tokens.
using Told = std::function<void(int64_t more)>;

// A model that writes.
struct Writer {
  explicit Writer(const OpenedModel& of, const Execution& execution)
      : opened(of),
        tokenizer(open_model_tokenizer(of.path)),
        held(of.model, execution),
        ends(end_tokens(of)) {}

  std::vector<GeneratedText> write(const Prompts& prompts, std::vector<std::string> stops,
                                   const Told& told) {
    std::vector<GeneratedText> texts(prompts.size());
    const GenerationOptions options{
        .max_tokens = kNewTokens, .stops = std::move(stops), .ends = ends};
    generate(held, *tokenizer, options, prompts,
             {.grown = {},
              .finished =
                  [&](size_t at, GeneratedText text) {
                    texts[at] = std::move(text);
                    told(1);
                  },
              .step = [&] { told(0); }});
    for (const GeneratedText& text : texts)
      require(text.finish != Finish::kNotFinite, "{}: generation: expected logits that are numbers",
              shown(opened.path));
    return texts;
  }

  const OpenedModel& opened;
  std::unique_ptr<const Tokenizer> tokenizer;
  HeldModel held;
  std::vector<TokenId> ends;
};

// Parts of a text, from its begin on and as far from one another as they are many, each behind what
// the tokenizer puts in front of a text.
Prompts parts_of(std::span<const TokenId> tokens, int64_t count, const Tokenizer& tokenizer) {
  const std::vector<TokenId> before = tokens_around(tokenizer).before;
  const auto rest = static_cast<int64_t>(tokens.size()) - kPromptTokens;
  Prompts prompts;
  for (int64_t i = 0; i < count; ++i) {
    const auto part = tokens.subspan(static_cast<size_t>(rest * i / count), kPromptTokens);
    std::vector<TokenId>& prompt = prompts.emplace_back(before);
    prompt.insert(prompt.end(), part.begin(), part.end());
  }
  return prompts;
}

bool is_json_object(const std::string& text) {
  const json found = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return found.is_object();
}

struct Written {
  std::vector<GeneratedText> texts;
  std::vector<uint8_t> loops, valid;  // valid: of rows of JSON
};

Written written_by(Writer& writer, const Prompts& prompts, const Told& told) {
  Written written{writer.write(prompts, {}, told), {}, {}};
  for (const GeneratedText& text : written.texts) written.loops.push_back(ends_in_a_loop(text.ids));
  const RequestEncoder encoder(*writer.tokenizer, writer.opened.model.config().vocab);
  Prompts rows;
  for (const char* row : kRows) rows.push_back(encoder.encode_prompt(row));
  for (const GeneratedText& row : writer.write(rows, {"\n"}, told))
    written.valid.push_back(is_json_object(row.text));
  return written;
}

json share_json(const std::vector<uint8_t>& each) {
  const Estimate share = accuracy(each);
  return {{"value", share.value},
          {"stderr", share.standard_error ? json(*share.standard_error) : json()}};
}

json shares_json(const Written& written) {
  return {{"loops", share_json(written.loops)}, {"json", share_json(written.valid)}};
}

}  // namespace

json check_generation(const OpenedModel& model, const OpenedModel* reference,
                      std::span<const TokenId> tokens, int64_t texts, const Execution& execution,
                      Progress& progress) {
  require(static_cast<int64_t>(tokens.size()) >= kPromptTokens,
          "--generate: expected a text of {} tokens or more, found {}", kPromptTokens,
          tokens.size());
  const auto each = texts + static_cast<int64_t>(std::size(kRows));
  progress.begin("generate", reference ? 2 * each : each);
  int64_t done = 0;
  const Told told = [&](int64_t more) { progress.update(done += more, "short texts"); };
  const auto tokenizer = open_model_tokenizer(model.path);
  const Prompts prompts = parts_of(tokens, texts, *tokenizer);
  Written own, other;
  {  // one model in memory at a time
    Writer writer(model, execution);
    own = written_by(writer, prompts, told);
  }
  if (reference != nullptr) {
    Writer writer(*reference, execution);
    other = written_by(writer, prompts, told);
  }
  progress.end();
  json result = shares_json(own);
  result["texts"] = texts;
  result["prompt_tokens"] = kPromptTokens;
  result["tokens"] = kNewTokens;
  if (reference) result["reference"] = shares_json(other);
  for (size_t i = 0; i < own.texts.size(); ++i) {
    json sample = {{"prompt", tokenizer->decode(prompts[i], true)},
                   {"text", own.texts[i].text},
                   {"loops", static_cast<bool>(own.loops[i])}};
    if (reference)
      sample["reference"] = {{"text", other.texts[i].text},
                             {"loops", static_cast<bool>(other.loops[i])}};
    result["samples"].push_back(std::move(sample));
  }
  return result;
}

}  // namespace halftone
