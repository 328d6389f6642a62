// halftone tokenize MODEL --text FILE [--json -]

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/text_target.h"
#include "pipeline/model_tokenizer.h"
#include "pipeline/output_place.h"
#include "text/corpus.h"
#include "text/text_rows.h"
#include "text/tokenizer.h"

namespace halftone {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFooter =
    "A .jsonl, .ndjson or .json file gives one line out per row: {\"ids\": [...],\n"
    "\"ids_special\": [...], \"decoded\": \"...\"}.\n\n"
    "Examples:\n"
    "  halftone tokenize models/llama --text wiki.test.txt | head\n"
    "  halftone tokenize models/llama --text questions.jsonl --json -";

struct Options {
  std::string model, text, json;
};

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

Json tokens_json(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<TokenId> ids = tokenizer.encode(text, false);
  return {{"ids", ids},
          {"ids_special", tokenizer.encode(text, true)},
          {"decoded", tokenizer.decode(ids, false)}};
}

std::string tokenized_rows(const Tokenizer& tokenizer, const Options& options, TextFileKind kind) {
  return with_context(options.text, [&] {
    std::string out;
    for (const std::string& text :
         parse_text_rows(read_file(options.text), kind, model_chat_writer(options.model)))
      out += dumped(tokens_json(tokenizer, text));
    return out;
  });
}

std::vector<std::string> pieces_of(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::vector<std::string> pieces;
  for (const TokenId id : ids) pieces.push_back(tokenizer.piece(id));
  return pieces;
}

std::string whole_text_json(const Tokenizer& tokenizer, std::string_view text) {
  Json json = tokens_json(tokenizer, text);
  json["pieces"] = pieces_of(tokenizer, json["ids"].get<std::vector<TokenId>>());
  json["tokenizer"] = tokenizer.description();
  json["round_trip"] = json["decoded"] == text;
  return dumped(json);
}

// A few counts, then every id with its piece.
std::string whole_text_lines(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<TokenId> ids = tokenizer.encode(text, true);
  const std::set<TokenId> distinct(ids.begin(), ids.end());
  const bool round_trip = tokenizer.decode(tokenizer.encode(text, false), false) == text;
  std::string out = fmt::format(
      "{}\n{} tokens with specials, {} distinct, {} bytes, {:.3f} bytes a token, decodes to {}\n",
      tokenizer.description(), ids.size(), distinct.size(), text.size(),
      ids.empty() ? 0.0 : static_cast<double>(text.size()) / static_cast<double>(ids.size()),
      round_trip ? "the same text" : "another text");
  for (const TokenId id : ids)
    out += fmt::format("{:>8}  {}\n", id, printable(tokenizer.piece(id)));
  return out;
}

int tokenize(const Options& options) {
  const TextFileKind kind = text_file_kind(options.text);
  if (kind == TextFileKind::kTokens) fail("{}: holds tokens already, expected text", options.text);
  std::vector<std::filesystem::path> inputs = files_of_model(options.model);
  inputs.emplace_back(options.text);
  const TextTarget target(options.json.empty() ? "-" : options.json, inputs);
  const auto tokenizer = open_model_tokenizer(options.model);
  if (holds_rows(kind)) {
    target.write(tokenized_rows(*tokenizer, options, kind));
    return kDone;
  }
  const std::string text = read_text(options.text);
  target.write(options.json.empty() ? whole_text_lines(*tokenizer, text)
                                    : whole_text_json(*tokenizer, text));
  return kDone;
}

}  // namespace

void add_tokenize(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand("tokenize", "Ids and pieces of a text");
  const auto options = std::make_shared<Options>();
  command.add_option("MODEL", options->model, "model folder, .gguf file or tokenizer file")
      ->required();
  add_text(command, options->text);
  add_target(command, {"--json", "as JSON; - is stdout"}, options->json);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return tokenize(*options); }; });
}

}  // namespace halftone
