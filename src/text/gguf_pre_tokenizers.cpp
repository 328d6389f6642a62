#include "text/gguf_pre_tokenizers.h"

#include <algorithm>

#include "base/error.h"
#include "text/word_scanners.h"

namespace halftone {
namespace {

constexpr const char* kEachDigit = R"(\p{N})";
constexpr const char* kLine = R"([\r\n])";
constexpr const char* kHanOrHangul = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

constexpr const char* kDefault[] = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)",
                                    "[0-9][0-9][0-9]"};
constexpr const char* kGpt2[] = {kGpt2Pattern};
constexpr const char* kDigitsGpt2[] = {kEachDigit, kGpt2Pattern};
constexpr const char* kLlama3[] = {kLlama3Pattern};
constexpr const char* kQwen2[] = {kQwen2Pattern};
constexpr const char* kQwen35[] = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
    R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr const char* kFalcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Pattern, "[0-9][0-9][0-9]"};
constexpr const char* kDeepSeekCoder[] = {kLine, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kHanOrHangul,
                                          kEachDigit};
constexpr const char* kDeepSeekLlm[] = {
    kLine,
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-"
    "\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
    "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-"
    "\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d"
    "\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
    "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943]+",
    "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
    R"(\s+$)",
    kHanOrHangul,
    R"(\p{N}+)"};
constexpr const char* kDeepSeekV3[] = {
    R"(\p{N}{1,3})", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)re"
    R"re(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)re"
    R"re(|\s*[\r\n]+|\s+(?!\S)|\s+)re"};
constexpr const char* kBloom[] = {" ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"};
constexpr const char* kViking[] = {kBloom[0], kEachDigit};
constexpr const char* kTekken[] = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr const char* kGpt4o[] = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr const char* kSeedCoder[] = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"};

// Expressions are those of the models' own tokenizer.json where llama.cpp names them, and its own
// where it does not. Checked against it, name by name (tests/data/tokenizers/README.md).
constexpr GgufPreTokenizer kRows[] = {
    {.names = "default", .expressions = kDefault},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2",
     .expressions = kLlama3,
     .ignore_merges = true,
     .adds_bos = true},
    {.names = "smaug-bpe dbrx", .expressions = kLlama3},
    {.names = "chatglm-bpe", .expressions = kLlama3, .has_bos = false},
    {.names = "glm4", .expressions = kLlama3, .ignore_merges = true, .has_bos = false},
    {.names = "gpt-2 phi-2 mpt olmo jais trillion gigachat exaone4 mellum modern-bert",
     .expressions = kGpt2},
    {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b",
     .expressions = kDigitsGpt2},
    {.names = "qwen2", .expressions = kQwen2, .composes = true},
    {.names = "deepseek-r1-qwen stablelm2 megrez hunyuan solar-open grok-2 bailingmoe bailingmoe2",
     .expressions = kQwen2},
    {.names = "qwen35", .expressions = kQwen35},
    {.names = "falcon", .expressions = kFalcon},
    {.names = "deepseek-llm", .expressions = kDeepSeekLlm},
    {.names = "deepseek-coder", .expressions = kDeepSeekCoder},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm", .expressions = kDeepSeekV3},
    {.names = "bloom gpt3-finnish poro-chat", .expressions = kBloom},
    {.names = "viking", .expressions = kViking},
    {.names = "tekken", .expressions = kTekken, .ignore_merges = true, .adds_bos = true},
    {.names = "gpt-4o llama4 minimax-m2", .expressions = kGpt4o},
    {.names = "seed-coder", .expressions = kSeedCoder},
};

template <class Each>
void for_each_name(std::string_view names, Each&& each) {
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = std::min(names.find(' ', begin), names.size());
    each(names.substr(begin, end - begin));
    begin = end + 1;
  }
}

Json part_of(const char* expression) {
  if (expression == kEachDigit) return {{"type", "Digits"}, {"individual_digits", true}};
  return {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}};
}

std::vector<size_t> cuts_of(const PreTokenizers& pre_tokenizers, std::string_view text) {
  Pieces pieces;
  pre_tokenizers.split(text, true, pieces);
  std::vector<size_t> lengths;
  for (const std::string_view piece : pieces.views) lengths.push_back(piece.size());
  return lengths;
}

}  // namespace

const GgufPreTokenizer& find_gguf_pre_tokenizer(std::string_view name) {
  const std::string_view wanted = name.empty() ? "default" : name;
  const GgufPreTokenizer* found = nullptr;
  std::string known;
  for (const GgufPreTokenizer& row : kRows)
    for_each_name(row.names, [&](std::string_view one) {
      if (one == wanted) found = &row;
      known.append(known.empty() ? "" : ", ").append(one);
    });
  require(found != nullptr, "\"{}\" is not known (known: {})", printable(name), known);
  return *found;
}

Json text_parts_of(const GgufPreTokenizer& row) {
  Json steps = Json::array();
  for (const char* expression : row.expressions) steps.push_back(part_of(expression));
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  Json parts = {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
                {"decoder", {{"type", "ByteLevel"}}}};
  if (row.composes) parts["normalizer"] = {{"type", "NFC"}};
  return parts;
}

std::string name_of_pre_tokenizer(const PreTokenizers& folder, std::string_view probe,
                                  WordRules rules) {
  const GgufPreTokenizer* best = nullptr;
  const auto wanted = cuts_of(folder, probe);
  const auto agreeing = [&](const GgufPreTokenizer& row) {
    return 2 * (row.ignore_merges == rules.ignores_merges) + (row.composes == rules.composes);
  };
  for (const GgufPreTokenizer& row : kRows) {
    const Json parts = text_parts_of(row);
    const PreTokenizers pre_tokenizers(&parts["pre_tokenizer"]);
    if (cuts_of(pre_tokenizers, probe) != wanted) continue;
    if (best == nullptr || agreeing(row) > agreeing(*best)) best = &row;
  }
  require(best != nullptr, "pre_tokenizer: GGUF has no name for the words that it cuts");
  return std::string(best->names.substr(0, best->names.find(' ')));
}

std::vector<std::string> gguf_pre_tokenizer_names() {
  std::vector<std::string> names;
  for (const GgufPreTokenizer& row : kRows)
    for_each_name(row.names, [&](std::string_view name) { names.emplace_back(name); });
  return names;
}

}  // namespace halftone
