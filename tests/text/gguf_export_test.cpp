// Tokenizers of folders written as GGUF metadata.
#include "text/gguf_export.h"

#include <algorithm>

#include "base/files.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/library_texts.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

// The small byte-level BPE of tests/data as a tokenizer.json with the words of `row`.
Json folder_file(const GgufPreTokenizer& row) {
  const Json stored = Json::parse(read_file(test_data("tokenizers/gguf/vocabulary.json")));
  Json file = text_parts_of(row);
  file["model"] = bpe_model(stored["tokens"], stored["merges"]);
  file["model"]["ignore_merges"] = row.ignore_merges;
  file["added_tokens"] = {{{"id", 660}, {"content", "<|endoftext|>"}, {"special", true}},
                          {{"id", 661}, {"content", "<user>"}, {"special", false}}};
  return file;
}

GgufVocabulary exported(const std::filesystem::path& folder, int64_t rows) {
  const GgufExport result = gguf_export_of(folder, rows);
  EXPECT_EQ(result.note, "");
  return result.vocabulary;
}

TEST(GgufExport, EveryPreTokenizerIsRecognizedByWhereItCuts) {
  for (const std::string& name : gguf_pre_tokenizer_names()) {
    SCOPED_TRACE(name);
    const GgufPreTokenizer& row = find_gguf_pre_tokenizer(name);
    const TemporaryFolder folder;
    write_text(folder / "tokenizer.json", folder_file(row).dump());
    const GgufVocabulary vocabulary = exported(folder.path(), 662);
    const GgufPreTokenizer& found = find_gguf_pre_tokenizer(vocabulary.pre);
    EXPECT_EQ(found.expressions.data(), row.expressions.data());
    EXPECT_EQ(found.ignore_merges, row.ignore_merges);
    EXPECT_EQ(found.composes, row.composes);
  }
}

TEST(GgufExport, WellKnownFoldersAreNamedAsLlamaCppNamesThem) {
  const auto name_with = [](const Json& pre_tokenizer) {
    Json file = folder_file(find_gguf_pre_tokenizer("gpt-2"));
    file["pre_tokenizer"] = pre_tokenizer;
    const TemporaryFolder folder;
    write_text(folder / "tokenizer.json", file.dump());
    return exported(folder.path(), 662).pre;
  };
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  EXPECT_EQ(name_with(byte_level), "gpt-2");
  EXPECT_EQ(name_with({{"type", "Sequence"}, {"pretokenizers", {digits, byte_level}}}), "smollm");
}

TEST(GgufExport, WordsThatGgufHasNoNameForAreRefused) {
  Json file = folder_file(find_gguf_pre_tokenizer("gpt-2"));
  file["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", file.dump());
  EXPECT_NE(message_of([&] {
              gguf_export_of(folder.path(), 662);
            }).find("pre_tokenizer: GGUF has no name for the words that it cuts"),
            std::string::npos);
}

TEST(GgufExport, MergesBecomeScoresThatGiveTheSameIds) {
  const GgufVocabulary vocabulary = exported(test_data("tokenizers/stories260k"), 512);
  EXPECT_EQ(vocabulary.model, "llama");
  EXPECT_EQ(vocabulary.bos, 1);
  EXPECT_EQ(vocabulary.add_bos, true);
  EXPECT_EQ(vocabulary.add_eos, false);
  EXPECT_EQ(vocabulary.add_space_prefix, true);
  const Json stored = Json::parse(read_file(test_data("tokenizers/gguf/stories260k.json")));
  EXPECT_EQ(vocabulary.tokens, stored["tokens"].get<std::vector<std::string>>());
  EXPECT_EQ(vocabulary.types, stored["types"].get<std::vector<int32_t>>());
  const auto tokenizer = open_gguf_vocabulary(vocabulary);
  for (const Json& row : read_json_lines(test_data("tokenizers/stories260k/golden.jsonl")))
    EXPECT_EQ(tokenizer->encode(row["text"].get<std::string>(), true),
              row["ids_special"].get<Ids>());
}

TEST(GgufExport, SentencePieceModelsKeepTheirScoresAndTypes) {
  const GgufVocabulary vocabulary = exported(test_data("tokenizers/small_bpe"), 430);
  EXPECT_EQ(vocabulary.tokens.size(), 430U);
  EXPECT_EQ(vocabulary.tokens[425], "[PAD425]");
  EXPECT_EQ(vocabulary.types[425], 5);
  EXPECT_EQ(vocabulary.types[0], 2);
  const auto type_of = [&](const char* text) {
    const auto at = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), text);
    return vocabulary.types[static_cast<size_t>(at - vocabulary.tokens.begin())];
  };
  EXPECT_EQ(type_of("<ctl>"), 3);
  EXPECT_EQ(type_of("<user>"), 4);
  EXPECT_EQ(type_of("<0x0A>"), 6);
}

TEST(GgufExport, WhatGgufCannotSayIsANote) {
  // runs of spaces become one: no key says so
  EXPECT_NE(gguf_export_of(test_data("tokenizers/tok105"), 105).note.find("GGUF cannot say"),
            std::string::npos);
}

TEST(GgufExport, RolesTemplateAndPaddingComeFromTheFolder) {
  const TemporaryFolder folder;
  Json file = folder_file(find_gguf_pre_tokenizer("llama-bpe"));
  file["model"]["vocab"]["[PAD662]"] = 662;  // as of a folder that was a GGUF file once
  write_text(folder / "tokenizer.json", file.dump());
  write_text(folder / "tokenizer_config.json",
             R"({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>",
                 "pad_token": "<user>", "chat_template": "{{ messages }}"})");
  write_text(folder / "config.json", R"({"bos_token_id": 660, "eos_token_id": 3})");
  const GgufVocabulary vocabulary = exported(folder.path(), 664);
  EXPECT_EQ(vocabulary.bos, 660);
  EXPECT_EQ(vocabulary.eos, 660);
  EXPECT_EQ(vocabulary.padding, 661);
  EXPECT_EQ(vocabulary.add_bos, false);
  EXPECT_EQ(vocabulary.chat_template, "{{ messages }}");
  EXPECT_EQ(vocabulary.types[660], 3);
  EXPECT_EQ(vocabulary.tokens[663], "[PAD663]");
  EXPECT_EQ(vocabulary.types[662], 5);
  EXPECT_EQ(vocabulary.types[663], 5);
}

TEST(GgufExport, MoreTokensThanRowsAreAnError) {
  EXPECT_NE(message_of([] {
              gguf_export_of(test_data("tokenizers/stories260k"), 511);
            }).find("the tokenizer has 512 tokens, but the model's embedding 511 rows"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone::testing
