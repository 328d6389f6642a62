#include "text/corpus.h"

#include <cstring>
#include <set>

#include "base/random.h"
#include "base/sha256.h"
#include "text/library_texts.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

void write_ids(const std::filesystem::path& path, const Ids& ids) {
  std::string bytes(ids.size() * sizeof(TokenId), '\0');
  std::memcpy(bytes.data(), ids.data(), bytes.size());
  write_text(path, bytes);
}

Corpus counting_corpus(TokenId count, bool bos = false) {
  Corpus corpus;
  corpus.name = "count.txt";
  corpus.bos = bos;
  for (TokenId id = 0; id < count; ++id) corpus.ids.push_back(id);
  return corpus;
}

TEST(ReadText, PlainFilesComeAsTheyAre) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "one\r\n\ntwo \u00e9");
  EXPECT_EQ(read_text(folder / "a.txt"), "one\r\n\ntwo \u00e9");
}

TEST(ReadText, JsonLinesAreJoinedByABlankLine) {
  const TemporaryFolder folder;
  write_text(folder / "a.jsonl", "{\"text\": \"one\\n\"}\r\n\n{\"id\": 1, \"text\": \"two\"}");
  EXPECT_EQ(read_text(folder / "a.jsonl"), "one\n\n\ntwo");
}

TEST(ReadText, RowsAreReadByWhateverEndingTheyHave) {
  const TemporaryFolder folder;
  for (const char* name : {"a.jsonl", "a.JSONL", "a.ndjson", "a.json", "a.Json"}) {
    write_text(folder / name, "{\"text\": \"one\"}\n{\"text\": \"two\", \"url\": \"x\"}\n");
    EXPECT_EQ(read_text(folder / name), "one\n\ntwo") << name;
  }
}

TEST(ReadText, JsonFilesMayBeOneDocument) {
  const TemporaryFolder folder;
  const auto text = [&](std::string_view content) {
    write_text(folder / "a.json", content);
    return read_text(folder / "a.json");
  };
  EXPECT_EQ(text("[{\"text\": \"one\"},\n {\"text\": \"two\"}]\n"), "one\n\ntwo");
  EXPECT_EQ(text("\n[{\"text\": \"one\"}]"), "one");
  EXPECT_EQ(text("{\n  \"text\": \"one\"\n}\n"), "one");
  EXPECT_NE(
      message_of([&] { text("[{\"text\": \"one\"},\n {}]"); }).find("row 1: \"text\" is missing"),
      std::string::npos);
  EXPECT_NE(message_of([&] { text("[1"); }).find("a.json: not valid JSON"), std::string::npos);
  EXPECT_NE(message_of([&] { text("{\"text\": \"a\"}\n{"); }).find("line 2: not valid JSON"),
            std::string::npos);
  EXPECT_NE(message_of([&] { text("{\"data\": []}"); }).find("\"text\" is missing"),
            std::string::npos);
}

TEST(ReadText, ConversationsAreRefusedWithWhatToDo) {
  const TemporaryFolder folder;
  for (const char* key : {"messages", "conversations"}) {
    write_text(folder / "a.jsonl",
               Json{{key, Json::array({{{"role", "user"}, {"content", "x"}}})}}.dump());
    const std::string message = message_of([&] { read_text(folder / "a.jsonl"); });
    EXPECT_NE(
        message.find(
            "line 1: expected a \"text\", found a conversation: apply the model's chat template"),
        std::string::npos)
        << message;
  }
  write_text(folder / "a.jsonl", "{\"text\": \"one\", \"messages\": []}");
  EXPECT_EQ(read_text(folder / "a.jsonl"), "one");
}

// "user>Hi|assistant>Yes|"
std::string write_plainly(const std::vector<ChatTurn>& turns) {
  std::string text;
  for (const ChatTurn& turn : turns) text += turn.role + ">" + turn.content + "|";
  return text;
}

TEST(ReadText, ConversationsAreWrittenAsTheModelWritesThem) {
  const TemporaryFolder folder;
  const std::string chat =
      R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Y\né"}]})";
  for (const auto& [name, content] :
       {std::pair<const char*, std::string>{"a.jsonl", chat + "\n{\"text\": \"one\"}\n" + chat},
        {"a.json", "[" + chat + ", {\"text\": \"one\"},\n" + chat + "]"}}) {
    write_text(folder / name, content);
    EXPECT_EQ(read_text(folder / name, write_plainly),
              "user>Hi|assistant>Y\né|\n\none\n\nuser>Hi|assistant>Y\né|");
  }
  write_text(folder / "a.jsonl", R"({"text": "one", "messages": 3})");
  EXPECT_EQ(read_text(folder / "a.jsonl", write_plainly), "one");
}

TEST(ReadText, ConversationsThatAreNoneAreRefusedByTheirLine) {
  const TemporaryFolder folder;
  const auto expect = [&](const std::string& row, const std::string& part) {
    write_text(folder / "a.jsonl", "{\"text\": \"one\"}\n" + row);
    const std::string message = message_of([&] { read_text(folder / "a.jsonl", write_plainly); });
    EXPECT_NE(message.find("a.jsonl: line 2: " + part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  };
  expect(R"({"messages": "Hi"})", "\"messages\": expected");
  expect(R"({"messages": {}})", "\"messages\": expected");
  expect(R"({"messages": []})", "\"messages\": expected one or more, found none");
  expect(R"({"messages": ["Hi"]})", "message 0: expected a JSON object");
  expect(R"({"messages": [{"role": "user"}]})", "message 0: \"content\" is missing");
  expect(R"({"messages": [{"content": "Hi"}]})", "message 0: \"role\" is missing");
  expect(R"({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": []}]})",
         "message 1: \"content\": expected a string");
  expect(R"({"messages": [{"role": 1, "content": "a"}]})",
         "message 0: \"role\": expected a string");
  expect(R"({"messages": [{"role": "user", "content": null}]})",
         "message 0: \"content\" is missing");
  expect(R"({"messages": [)", "not valid JSON");
  expect(R"({"messages": null})", "expected a \"text\"");
  expect(R"({"conversations": []})",
         "expected a \"text\", found a conversation: write it as \"messages\"");
  expect("{}", "\"text\" is missing");
}

TEST(ReadText, FilesThatHoldNoTextAreRefusedByTheirEnding) {
  const TemporaryFolder folder;
  for (const char* name : {"a.csv", "a.TSV", "a.parquet", "a.txt.gz", "a.zst", "a.npy", "a.pt"}) {
    write_text(folder / name, "text\n\"a b\"\n");
    const std::string message = message_of([&] { read_text(folder / name); });
    EXPECT_NE(message.find(std::string(name) + ": a ."), std::string::npos) << message;
    EXPECT_EQ(message_of([&] { read_corpus(folder / name, nullptr, 512); }), message);
  }
}

TEST(ReadText, WhatCannotBeReadIsAnErrorThatSaysWhere) {
  const TemporaryFolder folder;
  const auto message = [&](const char* name, std::string_view content) {
    write_text(folder / name, content);
    return message_of([&] { read_text(folder / name); });
  };
  EXPECT_NE(message("a.txt", "").find("a.txt: there is no text in this file"), std::string::npos);
  EXPECT_NE(message("a.txt", "ab\xff").find("not UTF-8 at byte 2"), std::string::npos);
  EXPECT_NE(message("a.jsonl", "\n\n").find("no text"), std::string::npos);
  EXPECT_NE(message("a.jsonl", "{\"text\": \"\"}\n{").find("line 2: not valid JSON"),
            std::string::npos);
  EXPECT_NE(message("a.jsonl", "{}").find("line 1: \"text\" is missing"), std::string::npos);
  EXPECT_NE(message("a.jsonl", "{\"text\": 1}").find("line 1: \"text\": expected a string"),
            std::string::npos);
  EXPECT_NE(message("a.jsonl", "[1]").find("line 1: expected a JSON object"), std::string::npos);
  EXPECT_NE(message_of([&] { read_text(folder / "none.txt"); }).find("none.txt"),
            std::string::npos);
}

TEST(ReadCorpus, TextIsTokenizedWithSpecialTokens) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "Once upon a time");
  const auto tokenizer = open_tokenizer(test_data("tokenizers/stories260k"));
  const Corpus corpus = read_corpus(folder / "a.txt", tokenizer.get(), 512);
  EXPECT_EQ(corpus.ids, tokenizer->encode("Once upon a time", true));
  EXPECT_EQ(corpus.name, "a.txt");
  EXPECT_EQ(corpus.ids_sha256, sha256_of(corpus.ids));
  EXPECT_EQ(corpus.description, tokenizer->description());
  EXPECT_TRUE(corpus.bos);
  EXPECT_TRUE(corpus.round_trip);
}

TEST(ReadCorpus, TextThatDoesNotComeBackIsReported) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "two  spaces");  // this model collapses them
  const auto tokenizer = open_tokenizer(test_data("tokenizers/tok105"));
  EXPECT_FALSE(read_corpus(folder / "a.txt", tokenizer.get(), 105).round_trip);
}

TEST(ReadCorpus, TokenizerWithoutBosSaysSo) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "abab");
  const auto tokenizer =
      make_tokenizer({{"model", bpe_model({"a", "b"})}, {"decoder", {{"type", "Fuse"}}}});
  const Corpus corpus = read_corpus(folder / "a.txt", tokenizer.get(), 2);
  EXPECT_EQ(corpus.ids, (Ids{0, 1, 0, 1}));
  EXPECT_FALSE(corpus.bos);
  EXPECT_TRUE(corpus.round_trip);
}

TEST(ReadCorpus, TokenFilesHoldLittleEndianIds) {
  const TemporaryFolder folder;
  write_text(folder / "a.tokens", std::string("\x01\0\0\0\x00\x02\0\0", 8));
  const Corpus corpus = read_corpus(folder / "a.tokens", nullptr, 513);
  EXPECT_EQ(corpus.ids, (Ids{1, 512}));
  EXPECT_EQ(corpus.description, "token ids");
  EXPECT_FALSE(corpus.bos);
  EXPECT_TRUE(corpus.round_trip);
}

TEST(ReadCorpus, IdsOutsideTheModelsVocabularyAreErrors) {
  const TemporaryFolder folder;
  write_ids(folder / "a.tokens", {0, 511, 512});
  EXPECT_NE(message_of([&] {
              read_corpus(folder / "a.tokens", nullptr, 512);
            }).find("token 2 has id 512, but the model's vocabulary has 512 tokens"),
            std::string::npos);
  write_ids(folder / "b.tokens", {0, -1});
  EXPECT_NE(message_of([&] { read_corpus(folder / "b.tokens", nullptr, 512); }).find("id -1"),
            std::string::npos);
  write_text(folder / "a.txt", "Once upon a time");
  const auto tokenizer = open_tokenizer(test_data("tokenizers/stories260k"));
  EXPECT_NE(message_of([&] {
              read_corpus(folder / "a.txt", tokenizer.get(), 100);
            }).find("do not belong together"),
            std::string::npos);
}

TEST(ReadCorpus, BrokenTokenFilesAreErrors) {
  const TemporaryFolder folder;
  write_text(folder / "a.tokens", "12345");
  EXPECT_NE(message_of([&] { read_corpus(folder / "a.tokens", nullptr, 512); }).find("5 bytes"),
            std::string::npos);
  write_text(folder / "a.tokens", "");
  EXPECT_NE(message_of([&] { read_corpus(folder / "a.tokens", nullptr, 512); }).find("empty"),
            std::string::npos);
  write_text(folder / "a.txt", "text");
  EXPECT_NE(message_of([&] { read_corpus(folder / "a.txt", nullptr, 512); }).find("no tokenizer"),
            std::string::npos);
}

TEST(ReadCorpus, IdsOf64BitsAreRefused) {
  const TemporaryFolder folder;
  Ids ids;
  for (TokenId id = 1; id <= 8; ++id) ids.insert(ids.end(), {id, 0});
  write_ids(folder / "a.TOKENS", ids);
  EXPECT_NE(message_of([&] {
              read_corpus(folder / "a.TOKENS", nullptr, 512);
            }).find("found 0 for every second of 16: these are int64?"),
            std::string::npos);
  ids.back() = 1;
  write_ids(folder / "a.TOKENS", ids);
  EXPECT_EQ(read_corpus(folder / "a.TOKENS", nullptr, 512).ids, ids);
  write_text(folder / "b.tokens", std::string("\x05\x01\x07\x02", 4));  // uint16
  EXPECT_NE(message_of([&] {
              read_corpus(folder / "b.tokens", nullptr, 512);
            }).find("not little-endian int32?"),
            std::string::npos);
}

TEST(RandomWindows, AreCutAtTheOffsetsThatTheGeneratorDraws) {
  const TokenWindows windows = random_windows(counting_corpus(100), 12, 10, 5);
  ASSERT_EQ(windows.ids.size(), 120U);
  Random random(5);
  for (size_t window = 0; window < 12; ++window) {
    const auto offset = static_cast<TokenId>(random.below(91));
    for (TokenId i = 0; i < 10; ++i)
      EXPECT_EQ(windows.ids[window * 10 + static_cast<size_t>(i)], offset + i);
  }
}

TEST(RandomWindows, ReachTheFirstAndTheLastOffset) {
  const TokenWindows windows = random_windows(counting_corpus(11), 2, 10, 0);
  std::set<TokenId> firsts;
  for (uint64_t seed = 0; seed < 20; ++seed)
    firsts.insert(random_windows(counting_corpus(11), 1, 10, seed).ids.front());
  EXPECT_EQ(firsts, (std::set<TokenId>{0, 1}));
}

TEST(RandomWindows, BeginWithBosWhereTheTextDoes) {
  Corpus corpus = counting_corpus(100, true);
  corpus.ids[0] = 777;
  const TokenWindows windows = random_windows(corpus, 8, 10, 3);
  for (size_t window = 0; window < 8; ++window) {
    EXPECT_EQ(windows.ids[window * 10], 777);
    EXPECT_EQ(windows.ids[window * 10 + 9], windows.ids[window * 10 + 1] + 8);
  }
}

TEST(RandomWindows, TooShortTextsAreErrorsThatSayHowManyWindowsTheyHold) {
  EXPECT_EQ(random_windows(counting_corpus(50), 10, 10, 0).count, 10);
  const auto message = [](TokenId size, int64_t count, int64_t length) {
    return message_of([&] { random_windows(counting_corpus(size), count, length, 0); });
  };
  EXPECT_EQ(
      message(49, 10, 10),
      "10 windows of 10 tokens are wanted, but its 49 tokens hold only 4: at least half as many "
      "are needed");
  EXPECT_NE(message(9, 1, 10).find("hold only 0"), std::string::npos);
  EXPECT_NE(message(9, INT64_MAX, 3).find("hold only 3"), std::string::npos);
  EXPECT_NE(message(9, 0, 3).find("must be positive"), std::string::npos);
}

// Whether two runs of ids, `length` and `other_length` long, have one in common.
bool overlap(int64_t begin, int64_t length, int64_t other, int64_t other_length) {
  return begin < other + other_length && other < begin + length;
}

TEST(WindowsApart, ShareNoTokenWithWhatWasDrawnNorWithEachOther) {
  const Corpus corpus = counting_corpus(2000);
  for (const uint64_t seed : {0, 1, 2, 3}) {
    const std::vector<int64_t> drawn = random_offsets(2000, 12, 60, seed);
    const TokenWindows windows = windows_apart(corpus, drawn, 60, 8, 30);
    ASSERT_EQ(windows.count, 8);
    int64_t before = -30;
    for (size_t w = 0; w < 8; ++w) {
      const int64_t begin = windows.ids[w * 30];
      EXPECT_EQ(windows.ids[w * 30 + 29], begin + 29);
      EXPECT_GE(begin, before + 30);
      for (const int64_t offset : drawn) EXPECT_FALSE(overlap(begin, 30, offset, 60));
      before = begin;
    }
  }
}

TEST(WindowsApart, AreAsManyAsThereIsRoomForAndSpreadOverIt) {
  const Corpus corpus = counting_corpus(100);
  EXPECT_EQ(windows_apart(corpus, {0, 40}, 40, 5, 20).ids.front(), 80);  // the only one
  EXPECT_EQ(windows_apart(corpus, {0, 40}, 40, 5, 20).count, 1);
  EXPECT_EQ(windows_apart(corpus, {0, 60}, 40, 5, 20).ids.front(), 40);
  EXPECT_EQ(windows_apart(corpus, {10, 45, 60}, 40, 5, 20).count, 0);
  const TokenWindows of_all = windows_apart(corpus, {}, 0, 2, 10);  // of ten, those in the middles
  EXPECT_EQ(of_all.ids[0], 20);
  EXPECT_EQ(of_all.ids[10], 70);
}

TEST(WindowsApart, BeginWithTheTextsFirstToken) {
  Corpus corpus = counting_corpus(100, /*bos=*/true);
  corpus.ids.front() = 777;
  const TokenWindows windows = windows_apart(corpus, {}, 0, 2, 10);
  EXPECT_EQ(windows.ids[0], 777);
  EXPECT_EQ(windows.ids[10], 777);
  EXPECT_EQ(windows.ids[11], 71);
}

TEST(DisjointWindows, RunFromTheStartAndDropTheTail) {
  const TokenWindows windows = disjoint_windows(counting_corpus(10), 3, 0);
  EXPECT_EQ(windows.count, 3);
  EXPECT_EQ(windows.length, 3);
  EXPECT_EQ(windows.ids, (Ids{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(DisjointWindows, AreAtMostAsManyAsAsked) {
  EXPECT_EQ(disjoint_windows(counting_corpus(10), 3, 2).ids, (Ids{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(disjoint_windows(counting_corpus(10), 3, 9).count, 3);
}

TEST(DisjointWindows, TextShorterThanAWindowIsAnError) {
  EXPECT_EQ(message_of([] { disjoint_windows(counting_corpus(9), 10, 0); }),
            "its 9 tokens hold not one window of 10 tokens");
}

TEST(LlamaWindows, BeginWithBosAndScoreTheirSecondHalf) {
  Corpus corpus = counting_corpus(10, true);
  corpus.ids[0] = 777;
  const TokenWindows windows = llama_windows(corpus, 5, 0);
  EXPECT_EQ(windows.ids, (Ids{777, 1, 2, 3, 4, 777, 6, 7, 8, 9}));
  EXPECT_EQ(windows.first_scored, 2);
  EXPECT_EQ(llama_windows(counting_corpus(10), 5, 0).ids,
            disjoint_windows(counting_corpus(10), 5, 0).ids);
}

TEST(LlamaWindows, TextMustHoldTwo) {
  EXPECT_EQ(message_of([] { llama_windows(counting_corpus(9), 5, 0); }),
            "its 9 tokens hold not two windows of 5 tokens");
  EXPECT_EQ(message_of([] { llama_windows(counting_corpus(9), 4, 0); }),
            "windows of 4 tokens: the scored half of one has to hold 2");
}

}  // namespace
}  // namespace halftone::testing
