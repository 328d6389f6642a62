#include "text/gpt2_files.h"

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"

namespace halftone {
namespace {

constexpr const char* kEndOfText = "<|endoftext|>";

Json parse_merges(const std::string& text) {
  require(first_invalid_utf8(text) == text.size(), "not UTF-8 at byte {}",
          first_invalid_utf8(text));
  Json merges = Json::array();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(std::move(line));
    begin = end + 1;
  }
  return merges;
}

// The tokens that transformers finds in text before BPE: those the settings name, else GPT-2's own.
Json special_tokens(const Json& vocabulary, const TokenizerSettings& settings) {
  Json tokens = settings.added_tokens;
  std::set<std::string> seen;
  for (const Json& token : tokens) seen.insert(string_field(token, "content"));
  for (const auto* name : {&settings.bos, &settings.eos, &settings.unknown, &settings.padding}) {
    const std::string content = name->value_or(kEndOfText);
    const Json* id = find_field(vocabulary, content.c_str());
    if (id != nullptr && seen.insert(content).second)
      tokens.push_back({{"id", *id}, {"content", content}, {"special", true}});
  }
  return tokens;
}

}  // namespace

Json read_gpt2_files(const std::filesystem::path& folder, const TokenizerSettings& settings) {
  Json model = {{"type", "BPE"}};
  const std::string vocabulary = read_file(folder / "vocab.json");
  with_context("vocab.json", [&] { model["vocab"] = parse_json(vocabulary); });
  const std::string merges = read_file(folder / "merges.txt");
  with_context("merges.txt", [&] { model["merges"] = parse_merges(merges); });
  const Json added = special_tokens(model["vocab"], settings);
  return {
      {"model", std::move(model)},
      {"added_tokens", added},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", settings.add_prefix_space}}},
      {"decoder", {{"type", "ByteLevel"}}}};
}

}  // namespace halftone
