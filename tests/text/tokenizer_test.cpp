// Opening tokenizers: which file is taken, what the settings beside it change, what is told about
// it.
#include "text/tokenizer.h"

#include "base/files.h"
#include "text/library_texts.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

constexpr const char* kTinyVocabulary =
    R"({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6, "Ġ": 7, "Ġab": 8})";
constexpr const char* kTinyMerges = "#version: 0.2\na b\nĠ ab\r\n";

TEST(Tokenizer, Stories260kGivesTheLibrarysIds) {
  const auto tokenizer = open_tokenizer(test_data("tokenizers/stories260k"));
  for (const Json& row : read_json_lines(test_data("tokenizers/stories260k/golden.jsonl")))
    expect_library_result(*tokenizer, row);
  EXPECT_EQ(tokenizer->description(), "BPE with byte fallback, 512 tokens");
}

TEST(Tokenizer, SentencePieceModelGivesTheLibrarysIds) {
  const auto tokenizer = open_tokenizer(test_data("tokenizers/tok105"));
  for (const Json& row : read_json_lines(test_data("tokenizers/tok105/golden.jsonl")))
    if (!spells_special_tokens(row["text"])) expect_library_result(*tokenizer, row);
  EXPECT_EQ(tokenizer->description(), "sentencepiece, 105 tokens");
}

class Gpt2Files : public ::testing::Test {
 protected:
  void SetUp() override {
    write_text(folder_ / "vocab.json", kTinyVocabulary);
    write_text(folder_ / "merges.txt", kTinyMerges);
  }
  void write_settings(const std::string& json) {
    write_text(folder_ / "tokenizer_config.json", json);
  }
  std::unique_ptr<const Tokenizer> open() const { return open_tokenizer(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(Gpt2Files, AreByteLevelBpeWithoutBos) {
  const auto tokenizer = open();
  EXPECT_EQ(tokenizer->encode("ab ab", true), (Ids{6, 8}));
  EXPECT_EQ(tokenizer->decode(Ids{6, 8}, false), "ab ab");
  EXPECT_EQ(tokenizer->piece(8), "Ġab");
  EXPECT_EQ(tokenizer->vocabulary_size(), 9);
  EXPECT_EQ(tokenizer->description(), "byte-level BPE, 9 tokens");
}

// facebook/opt-125m: tokenizer_config.json says add_bos_token and names </s>
TEST_F(Gpt2Files, OptPrependsTheBosThatTheSettingsName) {
  write_settings(R"({"add_bos_token": true, "bos_token": {"content": "</s>"},
                     "eos_token": {"content": "</s>"}, "pad_token": "<pad>"})");
  const auto tokenizer = open();
  EXPECT_EQ(tokenizer->encode("ab", true), (Ids{2, 6}));
  EXPECT_EQ(tokenizer->encode("ab", false), (Ids{6}));
  EXPECT_EQ(tokenizer->encode("a<pad>b</s>", false), (Ids{4, 1, 5, 2}));
  EXPECT_EQ(tokenizer->decode(Ids{2, 6, 1}, true), "ab");
}

TEST_F(Gpt2Files, AddedTokensOfTheSettingsAreFound) {
  write_settings(R"({"added_tokens_decoder": {"9": {"content": "<new>", "lstrip": true}}})");
  EXPECT_EQ(open()->encode("a <new>b", true), (Ids{4, 9, 5}));
}

TEST_F(Gpt2Files, BosOutsideTheVocabularyIsAnError) {
  write_settings(R"({"add_bos_token": true, "bos_token": "<bos>"})");
  EXPECT_NE(message_of([&] { open(); }).find("bos_token \"<bos>\", which is not in the vocabulary"),
            std::string::npos);
  write_settings(R"({"add_bos_token": true})");
  EXPECT_NE(message_of([&] { open(); }).find("does not say which"), std::string::npos);
}

TEST_F(Gpt2Files, VocabJsonItselfOpensThePair) {
  EXPECT_EQ(open_tokenizer(folder_ / "vocab.json")->encode("ab", true), (Ids{6}));
}

TEST_F(Gpt2Files, TokenizerJsonBesideThemIsTaken) {
  write_text(folder_ / "tokenizer.json", Json{{"model", bpe_model({"a", "b"})}}.dump());
  EXPECT_EQ(open()->encode("ab", true), (Ids{0, 1}));
}

TEST(TokenizerSettings, FlagsOverrideTheTemplateWhereTheClassMakesItsOwn) {
  const TemporaryFolder folder;
  const auto source = test_data("tokenizers/stories260k");
  std::filesystem::copy(source / "tokenizer.json", folder / "tokenizer.json");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("a", true).front(), 1);
  write_text(folder / "tokenizer_config.json", R"({"add_bos_token": false})");  // whose?
  EXPECT_EQ(open_tokenizer(folder.path())->encode("a", true).front(), 1);
  write_text(folder / "tokenizer_config.json",
             R"({"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": false})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("a", true),
            open_tokenizer(folder.path())->encode("a", false));
  write_text(folder / "tokenizer_config.json",
             R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "</s>", "add_eos_token": true,
                 "eos_token": "</s>"})");
  const Ids both = open_tokenizer(folder / "tokenizer.json")->encode("a", true);
  EXPECT_EQ(both.front(), 2);
  EXPECT_EQ(both.back(), 2);
}

TEST(TokenizerSettings, ClassWithoutItsBosLeavesTheTemplateToTheFile) {
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", Json{{"model", bpe_model({"a", "b"})}}.dump());
  write_text(folder / "tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer"})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("ab", true), (Ids{0, 1}));
}

TEST(TokenizerSettings, DecideAboutBosOfSentencePieceModels) {
  const TemporaryFolder folder;
  std::filesystem::copy(test_data("tokenizers/tok105/tokenizer.model"), folder / "tokenizer.model");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("", true), (Ids{1}));
  write_text(folder / "tokenizer_config.json",
             R"({"add_bos_token": false, "add_eos_token": true})");
  EXPECT_EQ(open_tokenizer(folder.path())->encode("", true), (Ids{2}));
}

TEST(Tokenizer, SpecialTokensAreLeftOutOfDecodedTextOnDemand) {
  for (const char* name : {"tokenizers/stories260k", "tokenizers/tok105"}) {
    const auto tokenizer = open_tokenizer(test_data(name));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("Once upon", true), true), "Once upon") << name;
  }
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreErrors) {
  for (const char* name : {"tokenizers/stories260k", "tokenizers/tok105"}) {
    const auto tokenizer = open_tokenizer(test_data(name));
    const auto size = static_cast<TokenId>(tokenizer->vocabulary_size());
    for (const TokenId id : {-1, size, INT32_MAX}) {
      const std::string expected = "token id " + std::to_string(id) +
                                   " is not in the vocabulary of " + std::to_string(size) +
                                   " tokens";
      EXPECT_EQ(message_of([&] { tokenizer->decode(Ids{id}, false); }), expected);
      EXPECT_EQ(message_of([&] { tokenizer->piece(id); }), expected);
    }
  }
}

TEST(Tokenizer, TextThatIsNotUtf8IsAnError) {
  for (const char* name : {"tokenizers/stories260k", "tokenizers/tok105"}) {
    const auto tokenizer = open_tokenizer(test_data(name));
    EXPECT_EQ(message_of([&] { tokenizer->encode("ab\xff", false); }),
              "the text is not UTF-8 at byte 2");
  }
}

TEST(Tokenizer, FolderWithoutOneIsAnError) {
  const TemporaryFolder folder;
  EXPECT_NE(message_of([&] { open_tokenizer(folder.path()); }).find("expected tokenizer.json"),
            std::string::npos);
  EXPECT_NE(message_of([&] { open_tokenizer(folder / "x.json"); }).find("no such file"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone::testing
