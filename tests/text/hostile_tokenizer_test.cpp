// Broken tokenizer files: one line that tells what is wrong, never a crash.
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "text/library_texts.h"
#include "text/sentencepiece_model.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

Json good_description() {
  return {{"model", bpe_model({"a", "b", "ab"}, {"a b"})},
          {"added_tokens", {{{"id", 3}, {"content", "<s>"}, {"special", true}}}}};
}

// The message for a description with one field put in place of the good one.
std::string message_with(const char* pointer, const Json& value) {
  Json description = good_description();
  description[Json::json_pointer(pointer)] = value;
  return message_of([&] { make_tokenizer(description); });
}

TEST(HostileTokenizer, GoodDescriptionIsGood) {
  EXPECT_EQ(make_tokenizer(good_description())->encode("<s>ab", false), (Ids{3, 2}));
}

TEST(HostileTokenizer, PartsThatAreNotSupportedAreNamed) {
  const auto expect_named = [](const char* pointer, const char* type, const char* part) {
    const std::string message = message_with(pointer, {{"type", type}});
    EXPECT_NE(message.find(std::string(part) + ": \"" + type + "\" is not supported"),
              std::string::npos)
        << message;
  };
  expect_named("/normalizer", "Lowercase", "normalizer");
  expect_named("/pre_tokenizer", "Whitespace", "pre_tokenizer");
  expect_named("/post_processor", "BertProcessing", "post_processor");
  expect_named("/decoder", "WordPiece", "decoder");
  expect_named("/model", "WordPiece", "model");
}

TEST(HostileTokenizer, SettingsThatAreNotSupportedAreNamed) {
  EXPECT_NE(message_with("/model/dropout", 0.1).find("\"dropout\""), std::string::npos);
  for (const std::string name : {"continuing_subword_prefix", "end_of_word_suffix"})
    EXPECT_EQ(message_with(("/model/" + name).c_str(), "##"),
              "model: \"" + name + "\" is not supported");
  const Json bytes = {{"type", "ByteLevel"}};
  EXPECT_NE(message_with("/pre_tokenizer",
                         {{"type", "Sequence"}, {"pretokenizers", {bytes, {{"type", "Digits"}}}}})
                .find("ByteLevel is supported only as the last"),
            std::string::npos);
}

TEST(HostileTokenizer, EmptyAffixesAndZeroDropoutAreFine) {
  Json description = good_description();
  description["model"]["continuing_subword_prefix"] = "";
  description["model"]["dropout"] = 0.0;
  EXPECT_EQ(make_tokenizer(description)->encode("ab", false), (Ids{2}));
}

TEST(HostileTokenizer, MergesOfUnknownTokensAreErrors) {
  EXPECT_EQ(message_with("/model/merges/0", "a c"),
            "model: merge 0: token \"c\" is not in the vocabulary");
  EXPECT_EQ(message_with("/model/merges/0", "b a"),
            "model: merge 0: token \"ba\" is not in the vocabulary");
  for (const Json& bad :
       {Json("ab"), Json("a b c"), Json(1), Json{"a"}, Json{"a", 1}, Json(nullptr)})
    EXPECT_NE(message_with("/model/merges/0", bad).find("merge 0: expected"), std::string::npos);
}

TEST(HostileTokenizer, IdsThatCannotBeAreErrors) {
  EXPECT_EQ(message_with("/model/vocab/c", 1), "model: id 1 is given twice, to \"b\" and \"c\"");
  EXPECT_EQ(message_with("/model/vocab/c", 1 << 30),
            "model: token \"c\": id 1073741824 is outside 0..4194303");
  for (const Json& bad : {Json(-1), Json(1.5), Json("1"), Json(1e30), Json(UINT64_MAX), Json()})
    EXPECT_NE(message_with("/model/vocab/c", bad).find("\"c\": expected an integer from 0 on"),
              std::string::npos);
  EXPECT_NE(message_with("/added_tokens/0/id", INT64_MAX).find("is outside 0..4194303"),
            std::string::npos);
}

TEST(HostileTokenizer, TemplateTokensOutsideTheVocabularyAreErrors) {
  const auto around = [](const Json& ids) {
    return message_with(
        "/post_processor",
        {{"type", "TemplateProcessing"},
         {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
         {"special_tokens", {{"<s>", {{"ids", ids}}}}}});
  };
  EXPECT_EQ(around({9}), "post_processor: token id 9 is not in the vocabulary of 4 tokens");
  EXPECT_NE(around({INT64_MAX}).find("is not in the vocabulary"), std::string::npos);
  EXPECT_NE(around(5).find("\"ids\": expected an array, found number"), std::string::npos);
}

TEST(HostileTokenizer, InvalidExpressionsAreErrors) {
  for (const char* expression : {"(", "[", "(?<x", "a{2,1}", "\\p{Nonsense}"}) {
    const std::string message = message_with(
        "/pre_tokenizer",
        {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}});
    EXPECT_NE(message.find("pre_tokenizer: Split: pattern: not a valid regular expression"),
              std::string::npos)
        << message;
  }
}

TEST(HostileTokenizer, ExpressionsThatNeverEndAreErrors) {
  Json description = good_description();
  description["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a|aa|aaa)+$"}}}, {"behavior", "Isolated"}};
  const auto tokenizer = make_tokenizer(description);
  const std::string message =
      message_of([&] { tokenizer->encode(std::string(200, 'a') + "b", false); });
  EXPECT_NE(message.find("fails on a text of 201 bytes"), std::string::npos) << message;
}

TEST(HostileTokenizer, SequencesNestedWithoutEndAreErrors) {
  Json part = {{"type", "NFC"}};
  for (int i = 0; i < 1000; ++i) part = {{"type", "Sequence"}, {"normalizers", {part}}};
  EXPECT_NE(message_with("/normalizer", part).find("nested too deeply"), std::string::npos);
}

// Each field of a real file replaced by values of every type: an Error or a tokenizer, nothing
// else.
TEST(HostileTokenizer, ValuesOfWrongTypesNeverCrash) {
  Json good = Json::parse(read_file(test_data("tokenizers/stories260k/tokenizer.json")));
  good["model"]["vocab"] = Json{{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}, {"a", 3}, {"\u2581", 4}};
  good["model"]["merges"] = Json::array();
  const Json values[] = {nullptr,       true,           -1,      1e300, "", "x",
                         Json::array(), Json::object(), {1, "a"}};
  int errors = 0;
  const Json flat = good.flatten();
  for (const auto& [pointer, ignored] : flat.items()) {
    // the field itself, and what it lies in
    for (auto at = Json::json_pointer(pointer); !at.empty(); at.pop_back())
      for (const Json& value : values) {
        Json bad = good;
        bad[at] = value;
        try {
          make_tokenizer(bad)->encode("a b", true);
        } catch (const Error& error) {
          EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
          ++errors;
        }
      }
  }
  EXPECT_GT(errors, 300);
}

TEST(HostileTokenizer, TruncatedJsonIsAnErrorAtEveryLength) {
  const TemporaryFolder folder;
  const std::string whole = good_description().dump();
  for (size_t length = 0; length < whole.size(); ++length) {
    write_text(folder / "tokenizer.json", whole.substr(0, length));
    const std::string message = message_of([&] { open_tokenizer(folder.path()); });
    EXPECT_NE(message.find("tokenizer.json: not valid JSON"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(HostileTokenizer, FlippedBytesOfARealFileNeverCrash) {
  const std::string whole = read_file(test_data("tokenizers/stories260k/tokenizer.json"));
  const TemporaryFolder folder;
  Random random(3);
  for (int i = 0; i < 300; ++i) {
    std::string bad = whole;
    bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    write_text(folder / "tokenizer.json", bad);
    try {
      open_tokenizer(folder.path())->encode("Once upon a time", true);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

TEST(HostileTokenizer, TruncatedSentencePieceModelsNeverCrash) {
  const std::string whole = read_file(test_data("tokenizers/tok105/tokenizer.model"));
  const TemporaryFolder folder;
  for (size_t length = 0; length < whole.size(); ++length) {
    write_text(folder / "tokenizer.model", whole.substr(0, length));
    try {
      const auto tokenizer = open_tokenizer(folder.path());
      tokenizer->decode(tokenizer->encode("Once upon a time", true), false);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
}

// Of a unigram model with one the library throws an exception of its own.
TEST(HostileTokenizer, SentencePieceModelsWithAnEmptyPieceAreErrors) {
  using namespace std::string_literals;
  const std::string unknown = "\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02"s,
                    empty = "\x0a\x08\x0a\x01\0\x15\0\0\x60\xc1"s,
                    letter = "\x0a\x08\x0a\x01u\x15\0\0\x60\xc1"s;
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.model", unknown + empty + letter);
  EXPECT_NE(message_of([&] {
              read_sentencepiece_model(folder / "tokenizer.model");
            }).find("not a sentencepiece model"),
            std::string::npos);
  EXPECT_THROW(open_tokenizer(folder.path()), Error);
}

// A copy of such a value calls itself for each level.
TEST(HostileTokenizer, SettingsNestedWithoutEndAreErrors) {
  const std::string open(200'000, '['), close(200'000, ']');
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", good_description().dump());
  write_text(folder / "tokenizer_config.json",
             R"({"bos_token": {"content": "a", "x": )" + open + close + "}}");
  const std::string message = message_of([&] { open_tokenizer(folder.path()); });
  EXPECT_NE(message.find("nested deeper"), std::string::npos) << message;
}

TEST(HostileTokenizer, BrokenSettingsAreErrorsThatNameTheFile) {
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", good_description().dump());
  for (const char* bad : {"", "[]", "{", R"({"add_bos_token": "yes"})", R"({"bos_token": 1})",
                          R"({"added_tokens_decoder": {"x": {}}})", "\xff"}) {
    write_text(folder / "tokenizer_config.json", bad);
    const std::string message = message_of([&] { open_tokenizer(folder.path()); });
    EXPECT_NE(message.find("tokenizer_config.json: "), std::string::npos) << message;
  }
}

TEST(HostileTokenizer, BrokenMergesFilesAreErrors) {
  const TemporaryFolder folder;
  write_text(folder / "vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  for (const char* bad : {"ab\n", "a b c\n", "a c\n", "\xff b\n"}) {
    write_text(folder / "merges.txt", bad);
    const std::string message = message_of([&] { open_tokenizer(folder.path()); });
    EXPECT_NE(message.find("merge"), std::string::npos) << message;
  }
  write_text(folder / "vocab.json", "[1]");
  write_text(folder / "merges.txt", "");
  EXPECT_NE(message_of([&] { open_tokenizer(folder.path()); }), "");
}

}  // namespace
}  // namespace halftone::testing
