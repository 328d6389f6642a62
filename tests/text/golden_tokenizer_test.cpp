// Token ids of transformers 4.57.6 / tokenizers 0.22.2 and sentencepiece 0.2.3 for 426 texts and
// four whole files.
#include "base/files.h"
#include "text/hf_tokenizer.h"
#include "text/library_texts.h"

namespace halftone::testing {
namespace {

struct GoldenTokenizer {
  const char* name;
  const char* path;
  bool sentencepiece = false;
};

constexpr GoldenTokenizer kGoldenTokenizers[] = {
    {"gpt2", "tokenizers/gpt2_tokenizer"},
    {"gptneox20b", "tokenizers/gptneox20b_tokenizer/20B_tokenizer.json"},
    {"stories260k", "models/stories260K/hf"},
    {"smollm2", "tokenizers/smollm2"},
    {"llama2_32k", "tokenizers/llama2_tokenizer_32k", true},
    {"tok105", "models/babyllama_tok105/tok105.model", true},
};

class GoldenTokenizers : public ::testing::TestWithParam<GoldenTokenizer> {};

TEST_P(GoldenTokenizers, GiveTheLibrariesIdsForEveryText) {
  HALFTONE_REQUIRE_SHARED("golden/tokenizers");
  const auto tokenizer = open_tokenizer(shared_data(GetParam().path));
  const auto rows =
      read_json_lines(shared_data("golden/tokenizers") / (std::string(GetParam().name) + ".jsonl"));
  EXPECT_EQ(rows.size(), 426U);
  for (const Json& row : rows)
    if (!GetParam().sentencepiece || !spells_special_tokens(row["text"]))
      expect_library_result(*tokenizer, row);
}

TEST_P(GoldenTokenizers, GiveTheLibrariesIdsForWholeFiles) {
  HALFTONE_REQUIRE_SHARED("golden/tokenizers");
  const auto tokenizer = open_tokenizer(shared_data(GetParam().path));
  const Json manifest = Json::parse(read_file(shared_data("golden/tokenizers/manifest.json")));
  EXPECT_EQ(tokenizer->vocabulary_size(), manifest["tokenizers"][GetParam().name]["vocab"]);
  for (const auto& [file, expected] : manifest["files"].items()) {
    const std::string text = read_file(shared_data("text") / file);
    if (GetParam().sentencepiece && spells_special_tokens(text)) continue;
    const auto ids = tokenizer->encode(text, false);
    EXPECT_EQ(ids.size(), expected[GetParam().name]["n_tokens"]) << file;
    EXPECT_EQ(sha256_of(ids), expected[GetParam().name]["sha256_i32le"]) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTokenizers, ::testing::ValuesIn(kGoldenTokenizers),
                         [](const auto& test) { return test.param.name; });

// AutoTokenizer of transformers 4.57.6, tokenizer.model alone; the file spells <unk> 11,718 times.
TEST(GoldenSentencePieceFolder, SpecialTokensInATextAreThoseOfTransformers) {
  HALFTONE_REQUIRE_SHARED("tokenizers");
  const auto tokenizer = open_tokenizer(shared_data("tokenizers/llama2_tokenizer_32k"));
  const std::string text = read_file(shared_data("text/wikitext2-valid.tokens.txt"));
  const auto ids = tokenizer->encode(text, false);
  EXPECT_EQ(ids.size(), 297083U);
  EXPECT_EQ(sha256_of(ids), "e37192a7885b24d732b8ef7174b314b47451670f2f6d16ea5920e96b7703ac89");
}

// SmolLM2's own tokenizer, as models/smollm2/get_smollm2.py makes it of the converted one.
Json own_smollm2_tokenizer() {
  Json description = Json::parse(read_file(shared_data("tokenizers/smollm2/tokenizer.json")));
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  description["normalizer"] = nullptr;
  description["post_processor"] = nullptr;
  description["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {digits, byte_level}}};
  description["decoder"] = byte_level;
  description["model"].update({{"unk_token", nullptr}, {"fuse_unk", false}});
  return description;
}

TEST(GoldenSmolLm2, OwnTokenizerTakesDigitsSingly) {
  HALFTONE_REQUIRE_SHARED("tokenizers/smollm2");
  const HfTokenizer tokenizer(own_smollm2_tokenizer(), {});
  EXPECT_EQ(pieces_of(tokenizer, tokenizer.encode("In 2024 12.5%", true)),
            (std::vector<std::string>{"In", "\u0120", "2", "0", "2", "4", "\u0120", "1", "2", ".",
                                      "5", "%"}));
}

TEST(GoldenSmolLm2, OwnTokenizerGivesEveryTextBack) {
  HALFTONE_REQUIRE_SHARED("tokenizers/smollm2");
  const HfTokenizer tokenizer(own_smollm2_tokenizer(), {});
  for (const Json& row : read_json_lines(shared_data("golden/tokenizers/smollm2.jsonl"))) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, true), false), text);
  }
}

// ids by tokenizers 0.22.2
TEST(GoldenSmolLm2, OwnTokenizerGivesTheLibrarysIdsForAWholeFile) {
  HALFTONE_REQUIRE_SHARED("tokenizers/smollm2");
  const HfTokenizer tokenizer(own_smollm2_tokenizer(), {});
  const auto ids = tokenizer.encode(read_file(shared_data("text/c4-sample.txt")), true);
  EXPECT_EQ(ids.size(), 401'898U);
  EXPECT_EQ(sha256_of(ids), "f1ad35176fd4fc890ad97523317b2339b13f37993849c9688abfe5d142fb02ec");
}

}  // namespace
}  // namespace halftone::testing
