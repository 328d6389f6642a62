// Small tokenizers that use one part each, and expressions that cut text, against the tokenizers
// library.

#include "text/hf_tokenizer.h"
#include "text/library_texts.h"
#include "text/pattern.h"
#include "text/pre_tokenizer.h"
#include "text/word_scanners.h"

namespace halftone::testing {
namespace {

std::vector<Json> library_cases() {
  return read_json_lines(test_data("tokenizers/library_cases.jsonl"));
}

TEST(LibraryCases, EveryPartDoesWhatTheLibraryDoes) {
  for (const Json& one : library_cases()) {
    SCOPED_TRACE(one["name"].get<std::string>());
    const HfTokenizer tokenizer(one["tokenizer"], {});
    for (const Json& row : one["rows"]) expect_library_result(tokenizer, row);
  }
}

TEST(LibraryCases, MergesAsStringsMeanTheSameAsMergesAsPairs) {
  for (Json one : library_cases()) {
    if (one["tokenizer"]["model"]["type"] != "BPE") continue;
    for (Json& merge : one["tokenizer"]["model"]["merges"])
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    if (one["tokenizer"]["model"]["merges"].dump().find("  ") != std::string::npos)
      continue;  // tokens that hold a space can only be written as pairs
    SCOPED_TRACE(one["name"].get<std::string>());
    const HfTokenizer tokenizer(one["tokenizer"], {});
    for (const Json& row : one["rows"]) expect_library_result(tokenizer, row);
  }
}

std::vector<size_t> lengths_of(const std::vector<std::string_view>& pieces) {
  std::vector<size_t> lengths;
  for (const auto piece : pieces) lengths.push_back(piece.size());
  return lengths;
}

Json split_by(const char* expression) {
  return {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}};
}

constexpr const char* kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(LibrarySplits, WellKnownPreTokenizersCutWhereTheLibraryCuts) {
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const std::vector<std::pair<const char*, Json>> kinds = {
      {"gpt2", split_by(kGpt2Pattern)},
      {"llama3", split_by(kLlama3Pattern)},
      {"qwen2", split_by(kQwen2Pattern)},
      {"tekken", split_by(kTekkenPattern)},
      {"smollm", {{"type", "Sequence"}, {"pretokenizers", {digits, split_by(kGpt2Pattern)}}}}};
  const auto rows = read_json_lines(test_data("tokenizers/library_splits.jsonl"));
  EXPECT_GT(rows.size(), 300U);
  for (const auto& [name, description] : kinds) {
    const PreTokenizers pre_tokenizers(&description);
    for (const Json& row : rows) {
      Pieces pieces;
      const auto text = row["text"].get<std::string>();
      pre_tokenizers.split(text, true, pieces);
      EXPECT_EQ(lengths_of(pieces.views), row[name].get<std::vector<size_t>>())
          << name << " " << row["text"].dump(-1, ' ', true);
    }
  }
}

}  // namespace
}  // namespace halftone::testing
