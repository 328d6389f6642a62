#include "text/gpt2_files.h"

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/word_scanners.h"

namespace halftone {
namespace {

constexpr const char* kEndOfText = "<|endoftext|>";
constexpr std::string_view kByteOrderMark = "\ufeff";

Json parse_merges(const std::string& text) {
  require(first_invalid_utf8(text) == text.size(), "not UTF-8 at byte {}",
          first_invalid_utf8(text));
  Json merges = Json::array();
  for (size_t begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
       begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(std::move(line));
    begin = end + 1;
  }
  return merges;
}

// GPT-2's own token, which has every role that the settings give to no other.
Json usual_tokens(const Json& vocabulary, const TokenizerSettings& settings) {
  const Json* id = find_field(vocabulary, kEndOfText);
  const bool has_role = !settings.bos || !settings.eos || !settings.unknown;
  if (id == nullptr || !has_role) return Json::array();
  return Json::array({{{"id", *id}, {"content", kEndOfText}, {"special", true}}});
}

Json byte_level(const TokenizerSettings& settings, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", settings.add_prefix_space.value_or(false)},
          {"use_regex", use_regex}};
}

// The normalizer and the pre-tokenizer that transformers gives to the class.
Json text_parts(const TokenizerSettings& settings) {
  if (settings.token_class != "Qwen2Tokenizer")
    return {{"pre_tokenizer", byte_level(settings, true)}};
  const Json words = {
      {"type", "Split"}, {"pattern", {{"Regex", kQwen2Pattern}}}, {"behavior", "Isolated"}};
  return {{"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"}, {"pretokenizers", {words, byte_level(settings, false)}}}}};
}

}  // namespace

Json read_gpt2_files(const std::filesystem::path& folder, const TokenizerSettings& settings) {
  Json model = {{"type", "BPE"}};
  const std::string vocabulary = read_file(folder / "vocab.json");
  with_context("vocab.json", [&] { model["vocab"] = parse_json(vocabulary); });
  const std::string merges = read_file(folder / "merges.txt");
  with_context("merges.txt", [&] { model["merges"] = parse_merges(merges); });
  Json description = text_parts(settings);
  description["added_tokens"] = usual_tokens(model["vocab"], settings);
  description["model"] = std::move(model);
  description["decoder"] = {{"type", "ByteLevel"}};
  return description;
}

TokenizerSettings gpt2_settings(TokenizerSettings settings) {
  if (settings.token_class == "Qwen2Tokenizer") return settings;
  if (settings.token_class != "GPTNeoXTokenizer") settings.add_eos.reset();
  settings.usual_bos = false;
  settings.usual_bos_token = settings.usual_eos_token = kEndOfText;
  return settings;
}

}  // namespace halftone
