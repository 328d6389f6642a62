// Tokenizers from the metadata of GGUF files, against llama.cpp and the libraries that the folders
// of the same models are read with (tests/data/tokenizers/README.md).
#include "text/gguf_vocabulary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/library_texts.h"

namespace halftone::testing {
namespace {

template <class Value>
std::optional<Value> optional_field(const Json& json, const char* name) {
  return json.contains(name) ? std::optional(json[name].get<Value>()) : std::nullopt;
}

GgufVocabulary vocabulary_of(const Json& json) {
  GgufVocabulary vocabulary;
  vocabulary.model = json.value("model", "gpt2");
  vocabulary.tokens = json["tokens"].get<std::vector<std::string>>();
  vocabulary.scores = json.value("scores", std::vector<float>{});
  vocabulary.types = json.value("types", std::vector<int32_t>{});
  vocabulary.merges = json.value("merges", std::vector<std::string>{});
  vocabulary.bos = optional_field<int64_t>(json, "bos");
  vocabulary.eos = optional_field<int64_t>(json, "eos");
  vocabulary.unknown = optional_field<int64_t>(json, "unknown");
  vocabulary.add_bos = optional_field<bool>(json, "add_bos");
  vocabulary.add_eos = optional_field<bool>(json, "add_eos");
  vocabulary.add_space_prefix = optional_field<bool>(json, "add_space_prefix");
  return vocabulary;
}

GgufVocabulary stored_vocabulary(const char* name) {
  return vocabulary_of(Json::parse(read_file(test_data("tokenizers/gguf") / name)));
}

// Byte-level BPE of a handful of tokens; 5 is a control token, 6 a user-defined one.
GgufVocabulary tiny_bpe() {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.tokens = {"a", "b", "\u0120", "ab", "\u0120a", "<s>", "<u>"};
  vocabulary.types = {1, 1, 1, 1, 1, 3, 4};
  vocabulary.merges = {"a b", "\u0120 a"};
  vocabulary.bos = 5;
  return vocabulary;
}

GgufVocabulary tiny_scores() {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>", "<s>", "</s>", "\u2581", "a", "b", "ab", "\u2581ab", "<u>"};
  vocabulary.scores = {0, 0, 0, -10, -11, -12, -1, -2, 0};
  vocabulary.types = {2, 3, 3, 1, 1, 1, 1, 1, 4};
  return vocabulary;
}

Ids encoded(const GgufVocabulary& vocabulary, std::string_view text, bool special = false) {
  return open_gguf_vocabulary(vocabulary)->encode(text, special);
}

template <class Change>
std::string message_with(GgufVocabulary vocabulary, Change&& change) {
  change(vocabulary);
  return message_of([&] { open_gguf_vocabulary(vocabulary); });
}

TEST(GgufPreTokenizers, EveryNameCutsAsTheFieldsLibrariesDo) {
  GgufVocabulary vocabulary = stored_vocabulary("vocabulary.json");
  const Json texts = Json::parse(read_file(test_data("tokenizers/gguf/texts.json")));
  std::vector<std::string> checked;
  for (const Json& row : read_json_lines(test_data("tokenizers/gguf/pre_tokenizers.jsonl")))
    for (const std::string name : row["names"]) {
      SCOPED_TRACE(name);
      vocabulary.pre = name;
      const auto tokenizer = open_gguf_vocabulary(vocabulary);
      for (size_t i = 0; i < texts.size(); ++i) {
        const auto text = texts[i].get<std::string>();
        EXPECT_EQ(tokenizer->encode(text, true), row["ids"][i].get<Ids>()) << text;
      }
      checked.push_back(name);
    }
  std::vector<std::string> known = gguf_pre_tokenizer_names();
  std::sort(known.begin(), known.end());
  std::sort(checked.begin(), checked.end());
  EXPECT_EQ(known, checked);
}

TEST(GgufPreTokenizers, ByteLevelTokensGiveTextsBack) {
  const auto tokenizer = open_gguf_vocabulary(stored_vocabulary("vocabulary.json"));
  for (const Json& text : Json::parse(read_file(test_data("tokenizers/gguf/texts.json"))))
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text.get<std::string>(), false), false), text);
}

TEST(GgufPreTokenizers, UnknownOnesAreRefusedWithThoseThatAreKnown) {
  const std::string message =
      message_with(tiny_bpe(), [](GgufVocabulary& v) { v.pre = "made-up\n"; });
  EXPECT_EQ(message.find("tokenizer.ggml.pre: \"made-up\\x0a\" is not known (known: default, "), 0U)
      << message;
  for (const char* name : {"llama-bpe", "qwen2", "smollm", "gpt-2", "tekken"})
    EXPECT_NE(message.find(name), std::string::npos) << name;
}

TEST(GgufPreTokenizers, AFileThatNamesNoneGetsTheDefault) {
  GgufVocabulary unnamed = stored_vocabulary("vocabulary.json"), named = unnamed;
  named.pre = "default";
  const std::string text = "a1234567 (b) 12,345";
  EXPECT_EQ(encoded(unnamed, text), encoded(named, text));
  named.pre = "gpt-2";
  EXPECT_NE(encoded(unnamed, text), encoded(named, text));
}

TEST(GgufVocabularies, ScoresGiveTheIdsOfTheSameModelsFolder) {
  const auto tokenizer = open_gguf_vocabulary(stored_vocabulary("stories260k.json"));
  EXPECT_EQ(tokenizer->vocabulary_size(), 512);
  const auto rows = read_json_lines(test_data("tokenizers/stories260k/golden.jsonl"));
  EXPECT_GT(rows.size(), 50U);
  for (const Json& row : rows) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer->encode(text, false), row["ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer->encode(text, true), row["ids_special"].get<Ids>()) << text;
  }
}

TEST(GgufVocabularies, ControlAndUserDefinedTokensAreFoundInTexts) {
  EXPECT_EQ(encoded(tiny_bpe(), "ab<s>ab<u>b"), (Ids{3, 5, 3, 6, 1}));
  EXPECT_EQ(open_gguf_vocabulary(tiny_bpe())->decode(Ids{3, 5, 6, 1}, true), "ab<u>b");
  EXPECT_EQ(encoded(tiny_scores(), "ab<u>ab</s>"), (Ids{7, 8, 7, 2}));
}

TEST(GgufVocabularies, TokensOfOtherTypesAreOrdinaryText) {
  GgufVocabulary vocabulary = tiny_bpe();
  vocabulary.tokens.push_back("[PAD7]");
  vocabulary.types.push_back(5);
  EXPECT_EQ(encoded(vocabulary, "a[PAD7]b"), (Ids{0, 1}));
}

TEST(GgufVocabularies, WithoutTypesTheRolesTellControlTokens) {
  GgufVocabulary vocabulary = tiny_bpe();
  vocabulary.types.clear();
  EXPECT_EQ(encoded(vocabulary, "a<s>b"), (Ids{0, 5, 1}));
  GgufVocabulary scores = tiny_scores();
  scores.types.clear();
  scores.bos = 1;
  scores.eos = 2;
  EXPECT_EQ(encoded(scores, "ab</s>", true), (Ids{1, 7, 2}));
}

TEST(GgufVocabularies, BosIsAddedWhereTheFileOrElseTheUsualOfItsKindSaysSo) {
  GgufVocabulary bpe = tiny_bpe();
  EXPECT_EQ(encoded(bpe, "a", true), (Ids{0}));
  bpe.pre = "llama-bpe";
  EXPECT_EQ(encoded(bpe, "a", true), (Ids{5, 0}));
  EXPECT_EQ(encoded(bpe, "a", false), (Ids{0}));
  bpe.add_bos = false;
  EXPECT_EQ(encoded(bpe, "a", true), (Ids{0}));
  bpe.pre = "gpt-2";
  bpe.add_bos = true;
  EXPECT_EQ(encoded(bpe, "a", true), (Ids{5, 0}));

  GgufVocabulary scores = tiny_scores();
  EXPECT_EQ(encoded(scores, "ab", true), (Ids{1, 7}));
  scores.add_eos = true;
  EXPECT_EQ(encoded(scores, "ab", true), (Ids{1, 7, 2}));
  scores.bos = 8;  // whatever its type
  EXPECT_EQ(encoded(scores, "ab", true), (Ids{8, 7, 2}));
  scores.add_bos = false;
  EXPECT_EQ(encoded(scores, "ab", true), (Ids{7, 2}));
}

TEST(GgufVocabularies, ASpaceIsPutInFrontOfScoredTextsUnlessTheFileSaysNo) {
  GgufVocabulary vocabulary = tiny_scores();
  EXPECT_EQ(encoded(vocabulary, "ab"), (Ids{7}));
  vocabulary.add_space_prefix = false;
  EXPECT_EQ(encoded(vocabulary, "ab"), (Ids{6}));
}

TEST(GgufVocabularies, TheBestScoreIsMergedFirst) {
  GgufVocabulary vocabulary = tiny_scores();
  vocabulary.tokens.push_back("ba");
  vocabulary.types.push_back(1);
  vocabulary.scores.push_back(-0.5F);
  EXPECT_EQ(encoded(vocabulary, "aba"), (Ids{3, 4, 9}));
  vocabulary.scores.back() = -1.5F;
  EXPECT_EQ(encoded(vocabulary, "aba"), (Ids{7, 4}));
}

TEST(GgufVocabularies, UnknownCharactersAreBytesWhereThereAreByteTokens) {
  GgufVocabulary vocabulary = tiny_scores();
  EXPECT_EQ(encoded(vocabulary, "ab\u00e9"), (Ids{7, 0}));
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.push_back(fmt::format("<0x{:02X}>", byte));
    vocabulary.types.push_back(6);
    vocabulary.scores.push_back(0);
  }
  EXPECT_EQ(encoded(vocabulary, "ab\u00e9"), (Ids{7, 9 + 0xc3, 9 + 0xa9}));
}

TEST(HostileGgufVocabularies, KindsThatAreNotSupportedAreNamed) {
  for (const std::string model : {"bert", "t5", "rwkv", "", "gemma4"})
    EXPECT_EQ(message_with(tiny_bpe(), [&](GgufVocabulary& v) { v.model = model; }),
              "tokenizer.ggml.model: \"" + model + "\" is not supported (known: gpt2, llama)");
}

TEST(HostileGgufVocabularies, WhatContradictsItselfIsAnErrorOfOneLine) {
  using Vocabulary = GgufVocabulary;
  const std::pair<const char*, std::function<void(Vocabulary&)>> cases[] = {
      {"tokenizer.ggml.tokens: there are none", [](Vocabulary& v) { v.tokens.clear(); }},
      {"tokenizer.ggml.token_type: expected 7 entries, as many as tokens, found 6",
       [](Vocabulary& v) { v.types.pop_back(); }},
      {"tokenizer.ggml.scores: expected 7 entries, as many as tokens, found 8",
       [](Vocabulary& v) { v.scores.resize(8); }},
      {"tokenizer.ggml.scores: entry 2 is no number",
       [](Vocabulary& v) {
         v.scores.resize(7);
         v.scores[2] = NAN;
       }},
      {"tokenizer.ggml.token_type: entry 1 is 7, expected 0..6",
       [](Vocabulary& v) { v.types[1] = 7; }},
      {"tokenizer.ggml.token_type: entry 1 is -1, expected 0..6",
       [](Vocabulary& v) { v.types[1] = -1; }},
      {"tokenizer.ggml.tokens: token \"a\" has two ids, 0 and 3",
       [](Vocabulary& v) { v.tokens[3] = std::string("a"); }},
      {"tokenizer.ggml.tokens: entry 4 is not UTF-8 at byte 1",
       [](Vocabulary& v) { v.tokens[4] = std::string("x\xff"); }},
      {"tokenizer.ggml.merges: entry 1 is not UTF-8 at byte 2",
       [](Vocabulary& v) { v.merges[1] = std::string("a \xc3"); }},
      {"tokenizer.ggml.merges: merge 1: token \"c\" is not in the vocabulary",
       [](Vocabulary& v) { v.merges[1] = std::string("a c"); }},
      {"tokenizer.ggml.merges: merge 0: token \"ba\" is not in the vocabulary",
       [](Vocabulary& v) { v.merges[0] = std::string("b a"); }},
      {"tokenizer.ggml.merges: merge 0: expected two tokens with a space between, found \"ab\"",
       [](Vocabulary& v) { v.merges[0] = std::string("ab"); }},
      {"tokenizer.ggml.merges: there are none", [](Vocabulary& v) { v.merges.clear(); }},
      {"tokenizer.ggml.bos_token_id: 7 is outside the vocabulary of 7 tokens",
       [](Vocabulary& v) { v.bos = 7; }},
      {"tokenizer.ggml.eos_token_id: 4294967295 is outside the vocabulary of 7 tokens",
       [](Vocabulary& v) { v.eos = 4294967295; }},
      {"tokenizer.ggml.unknown_token_id: -1 is outside the vocabulary of 7 tokens",
       [](Vocabulary& v) { v.unknown = -1; }},
      {"tokenizer.ggml.bos_token_id: the file adds this token to texts, but does not say which it "
       "is",
       [](Vocabulary& v) {
         v.bos.reset();
         v.add_bos = true;
       }},
  };
  for (const auto& [message, change] : cases) EXPECT_EQ(message_with(tiny_bpe(), change), message);
}

TEST(HostileGgufVocabularies, TheSameIsSaidOfScoredOnes) {
  EXPECT_EQ(message_with(tiny_scores(), [](GgufVocabulary& v) { v.tokens[5] = std::string("a"); }),
            "tokenizer.ggml.tokens: token \"a\" has two ids, 4 and 5");
  EXPECT_EQ(message_with(tiny_scores(), [](GgufVocabulary& v) { v.bos = 9; }),
            "tokenizer.ggml.bos_token_id: 9 is outside the vocabulary of 9 tokens");
  EXPECT_NE(message_with(tiny_scores(), [](GgufVocabulary& v) { v.types[4] = 6; }), "");
}

TEST(HostileGgufVocabularies, TokensWithoutTextAreTokensOfTheirOwn) {
  GgufVocabulary vocabulary = tiny_bpe();
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"", ""});
  vocabulary.types.insert(vocabulary.types.end(), {1, 3});
  EXPECT_EQ(encoded(vocabulary, "ab"), (Ids{3}));
  EXPECT_EQ(open_gguf_vocabulary(vocabulary)->piece(8), "[EMPTY_8]");
}

TEST(HostileGgufVocabularies, TheSmallestOnesOpen) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>"};
  vocabulary.add_bos = false;
  EXPECT_EQ(encoded(vocabulary, "a b", true), (Ids{0}));
}

// Fields of a vocabulary overwritten at random: an Error of one line or a tokenizer, nothing else.
TEST(HostileGgufVocabularies, RandomDamageNeverCrashes) {
  Random random(7);
  for (int i = 0; i < 2000; ++i) {
    GgufVocabulary vocabulary = i % 2 == 0 ? tiny_bpe() : tiny_scores();
    for (int changes = 0; changes < 3; ++changes) {
      const size_t at = random.below(vocabulary.tokens.size());
      switch (random.below(6)) {
        case 0:
          vocabulary.tokens[at] =
              std::string(random.below(3), static_cast<char>(random.below(256)));
          break;
        case 1:
          vocabulary.types[at] = static_cast<int32_t>(random.below(8));
          break;
        case 2:
          vocabulary.bos = static_cast<int64_t>(random.below(10));
          break;
        case 3:
          vocabulary.unknown = static_cast<int64_t>(random.below(10));
          break;
        case 4:
          vocabulary.add_bos = random.below(2) == 0;
          break;
        default:
          vocabulary.scores.assign(vocabulary.tokens.size(), static_cast<float>(random.below(9)));
      }
    }
    try {
      const auto tokenizer = open_gguf_vocabulary(vocabulary);
      tokenizer->decode(tokenizer->encode("ab <s> b\u00e9a<u>", true), false);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
}

std::string spaces_marked(std::string text) {
  for (size_t at = 0; (at = text.find(' ', at)) != text.npos;) text.replace(at, 1, "\u2581");
  return text;
}

// tokenizer.bin of llama2.c: the longest token's length, then score, length and text of each, with
// spaces for U+2581 and "\n<s>\n" for <s>.
GgufVocabulary llama2_vocabulary() {
  const std::string file = read_file(shared_data("tokenizers/llama2_tokenizer_32k/tokenizer.bin"));
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  for (size_t at = 4; at < file.size();) {
    float score = 0;
    int32_t length = 0;
    std::memcpy(&score, &file[at], 4);
    std::memcpy(&length, &file[at + 4], 4);
    const size_t id = vocabulary.tokens.size();
    vocabulary.scores.push_back(score);
    vocabulary.tokens.push_back(spaces_marked(file.substr(at + 8, static_cast<size_t>(length))));
    vocabulary.types.push_back(id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);
    at += 8 + static_cast<size_t>(length);
  }
  vocabulary.tokens[1] = "<s>";
  vocabulary.tokens[2] = "</s>";
  return vocabulary;
}

GgufVocabulary gpt2_vocabulary() {
  const auto folder = shared_data("tokenizers/gpt2_tokenizer");
  const Json ids = Json::parse(read_file(folder / "vocab.json"));
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.tokens.resize(ids.size());
  for (const auto& [text, id] : ids.items()) vocabulary.tokens[id.get<size_t>()] = text;
  std::ifstream merges(folder / "merges.txt");
  for (std::string line; std::getline(merges, line);)
    if (!line.empty() && !line.starts_with("#version")) vocabulary.merges.push_back(line);
  vocabulary.bos = vocabulary.eos = 50256;
  return vocabulary;
}

struct GoldenVocabulary {
  const char* name;
  GgufVocabulary (*read)();
};

class GoldenGgufVocabularies : public ::testing::TestWithParam<GoldenVocabulary> {};

TEST_P(GoldenGgufVocabularies, GiveTheIdsOfTheModelsOwnLibrary) {
  HALFTONE_REQUIRE_SHARED("golden/tokenizers");
  const auto tokenizer = open_gguf_vocabulary(GetParam().read());
  const auto rows =
      read_json_lines(shared_data("golden/tokenizers") / (std::string(GetParam().name) + ".jsonl"));
  EXPECT_EQ(rows.size(), 426U);
  for (const Json& row : rows) {
    const auto text = row["text"].get<std::string>();
    if (!spells_special_tokens(text)) {
      EXPECT_EQ(tokenizer->encode(text, false), row["ids"].get<Ids>()) << text;
    }
  }
  const Json manifest = Json::parse(read_file(shared_data("golden/tokenizers/manifest.json")));
  for (const auto& [file, expected] : manifest["files"].items()) {
    const std::string text = read_file(shared_data("text") / file);
    if (!spells_special_tokens(text)) {
      EXPECT_EQ(sha256_of(tokenizer->encode(text, false)),
                expected[GetParam().name]["sha256_i32le"])
          << file;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenGgufVocabularies,
                         ::testing::Values(GoldenVocabulary{"gpt2", gpt2_vocabulary},
                                           GoldenVocabulary{"llama2_32k", llama2_vocabulary}),
                         [](const auto& test) { return test.param.name; });

// ids by tokenizers 0.22.2 (golden_tokenizer_test.cpp)
TEST(GoldenGgufSmolLm2, GivesTheLibrarysIdsForAWholeFile) {
  HALFTONE_REQUIRE_SHARED("tokenizers/smollm2");
  const Json file = Json::parse(read_file(shared_data("tokenizers/smollm2/tokenizer.json")));
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "smollm";
  vocabulary.tokens.resize(file["model"]["vocab"].size());
  for (const auto& [text, id] : file["model"]["vocab"].items())
    vocabulary.tokens[id.get<size_t>()] = text;
  for (const Json& merge : file["model"]["merges"])
    vocabulary.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                                  : merge[0].get<std::string>() + " " +
                                                        merge[1].get<std::string>());
  vocabulary.types.assign(vocabulary.tokens.size(), 1);
  for (const Json& token : file["added_tokens"]) vocabulary.types[token["id"].get<size_t>()] = 3;
  const Ids ids = encoded(vocabulary, read_file(shared_data("text/c4-sample.txt")), true);
  EXPECT_EQ(ids.size(), 401'898U);
  EXPECT_EQ(sha256_of(ids), "f1ad35176fd4fc890ad97523317b2339b13f37993849c9688abfe5d142fb02ec");
}

}  // namespace
}  // namespace halftone::testing
