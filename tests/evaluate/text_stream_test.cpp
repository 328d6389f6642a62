#include "evaluate/text_stream.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"
#include "text/decoder.h"

namespace halftone {
namespace {

using Ids = std::vector<TokenId>;

// A token a byte; 256 is special.
class Bytes final : public Tokenizer {
 public:
  Ids encode(std::string_view text, bool) const override {
    Ids ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::string bytes;
    for (const TokenId id : ids)
      if (id < 256)
        bytes += static_cast<char>(id);
      else if (!skip_special)
        bytes += "<s>";
    return to_valid_utf8(bytes);
  }
  std::string piece(TokenId) const override { return ""; }
  int64_t vocabulary_size() const override { return 257; }
  std::string description() const override { return "bytes"; }
};

using Pieces = std::vector<std::string>;

TEST(TextStream, GivesWholeCharactersOnly) {
  const Bytes tokenizer;
  TextStream stream(tokenizer);
  Pieces pieces;
  for (const TokenId id : tokenizer.encode("a\u00e9\U0001f600!", false))
    pieces.push_back(stream.add(id));
  EXPECT_EQ(pieces, (Pieces{"a", "", "\u00e9", "", "", "", "\U0001f600", "!"}));
  EXPECT_EQ(stream.end(), "");
}

TEST(TextStream, SaysAtTheEndWhatNeverBecameACharacter) {
  const Bytes tokenizer;
  TextStream stream(tokenizer);
  EXPECT_EQ(stream.add('a'), "a");
  EXPECT_EQ(stream.add(0xf0), "");
  EXPECT_EQ(stream.add(0x9f), "");
  EXPECT_EQ(stream.end(), "\ufffd");
}

TEST(TextStream, BytesThatAreNoCharacterDoNotHoldUpWhatFollows) {
  const Bytes tokenizer;
  TextStream stream(tokenizer);
  EXPECT_EQ(stream.add(0xff), "");
  EXPECT_EQ(stream.add('b'), "\ufffdb");
}

TEST(TextStream, SpecialTokensSayNothing) {
  const Bytes tokenizer;
  TextStream stream(tokenizer);
  EXPECT_EQ(stream.add('a'), "a");
  EXPECT_EQ(stream.add(256), "");
  EXPECT_EQ(stream.add('b'), "b");
}

std::string streamed(TextStream stream, const Ids& ids) {
  std::string text;
  for (const TokenId id : ids) text += stream.add(id);
  return text + stream.end();
}

// A tokenizer whose decoder drops the first space of a text.
TEST(TextStream, GoesOnFromAPromptWithItsSpaces) {
  const auto tokenizer =
      open_tokenizer(std::filesystem::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  const std::string prompt = "Once upon a time",
                    rest = " there was a cat \u2014 Zo\u00eb's.\n\nIt sat";
  const Ids before = tokenizer->encode(prompt, true);
  Ids all = tokenizer->encode(prompt + rest, true);
  ASSERT_TRUE(std::equal(before.begin(), before.end(), all.begin()));
  const Ids behind(all.begin() + static_cast<ptrdiff_t>(before.size()), all.end());
  EXPECT_EQ(streamed(TextStream(*tokenizer, before), behind), rest);
  EXPECT_EQ(streamed(TextStream(*tokenizer), behind), tokenizer->decode(behind, true));
  EXPECT_EQ(streamed(TextStream(*tokenizer), behind), rest.substr(1));
}

TEST(StopSearch, EndsBeforeTheFirstStop) {
  StopSearch search({"Question:", "</s>"});
  EXPECT_EQ(search.add("The answer."), "The answer.");
  EXPECT_EQ(search.add(" Quest"), " ");
  EXPECT_FALSE(search.is_found());
  EXPECT_EQ(search.add("ion: and more"), "");
  EXPECT_TRUE(search.is_found());
}

TEST(StopSearch, GivesBackWhatOnlyBeganLikeAStop) {
  StopSearch search({"Question:", "<end>"});
  EXPECT_EQ(search.add("Quest"), "");
  EXPECT_EQ(search.add("s <"), "Quests ");
  EXPECT_EQ(search.add("e"), "");
  EXPECT_EQ(search.end(), "<e");
}

TEST(StopSearch, CutsAtEachStopInTurn) {
  StopSearch search({"b", "aab"});
  EXPECT_EQ(search.add("xaab"), "xaa");
  StopSearch other({"aab", "b"});
  EXPECT_EQ(other.add("xaab"), "x");
}

TEST(StopSearch, WithoutStopsGivesAllAtOnce) {
  StopSearch search({});
  EXPECT_EQ(search.add("a"), "a");
  EXPECT_FALSE(search.is_found());
  EXPECT_EQ(search.end(), "");
}

}  // namespace
}  // namespace halftone
