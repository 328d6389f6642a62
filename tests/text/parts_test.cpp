// Parts of tokenizer.json by hand; library_cases_test.cpp has more, worked out by the library.
#include "text/added_tokens.h"
#include "text/byte_level.h"
#include "text/decoder.h"
#include "text/library_texts.h"
#include "text/pre_tokenizer.h"
#include "text/split.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

using Strings = std::vector<std::string>;

Strings pieces_by(const Json& description, const std::string& text) {
  Pieces pieces;
  PreTokenizers(&description).split(text, true, pieces);
  return {pieces.views.begin(), pieces.views.end()};
}

TEST(Digits, AreCutSinglyOrTogether) {
  const Json single = {{"type", "Digits"}, {"individual_digits", true}};
  const Json together = {{"type", "Digits"}, {"individual_digits", false}};
  EXPECT_EQ(pieces_by(single, "a12 3"), (Strings{"a", "1", "2", " ", "3"}));
  EXPECT_EQ(pieces_by(together, "a12 3"), (Strings{"a", "12", " ", "3"}));
  EXPECT_EQ(pieces_by(single, "\u0663\u00bd"), (Strings{"\u0663", "\u00bd"}));
}

TEST(ByteLevelPreTokenizer, PutsASpaceBeforeTheFirstWordWhereAsked) {
  const Json with = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
  const Json without = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_EQ(pieces_by(with, "one two"), (Strings{" one", " two"}));
  EXPECT_EQ(pieces_by(with, " one"), (Strings{" one"}));
  EXPECT_EQ(pieces_by(without, "one  two"), (Strings{"one", " ", " two"}));
}

TEST(PreTokenizers, RunInOrderOnEachOthersPieces) {
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const Json both = {{"type", "Sequence"}, {"pretokenizers", {digits, bytes}}};
  // the two spaces end their piece, so they stay together
  EXPECT_EQ(pieces_by(both, "a  1 b"), (Strings{"a", "  ", "1", " b"}));
}

TEST(Split, JoinsMatchesAsItsBehaviorSays) {
  const std::vector<TextSpan> matches = {{1, 2}, {2, 3}, {4, 5}};
  const auto ends = [&](SplitBehavior behavior) {
    std::vector<size_t> all;
    for (const TextSpan piece : split_at(matches, 6, behavior, false)) all.push_back(piece.end);
    return all;
  };
  using Ends = std::vector<size_t>;
  EXPECT_EQ(ends(SplitBehavior::kRemoved), (Ends{1, 4, 6}));
  EXPECT_EQ(ends(SplitBehavior::kIsolated), (Ends{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(ends(SplitBehavior::kMergedWithPrevious), (Ends{2, 3, 5, 6}));
  EXPECT_EQ(ends(SplitBehavior::kMergedWithNext), (Ends{1, 2, 4, 6}));
  EXPECT_EQ(ends(SplitBehavior::kContiguous), (Ends{1, 3, 4, 5, 6}));
}

TEST(Split, CutsAtEmptyMatchesAndKeepsNoEmptyPiece) {
  EXPECT_EQ(split_at({{0, 0}, {2, 2}}, 4, SplitBehavior::kIsolated, false).size(), 2U);
  EXPECT_EQ(split_at({{4, 4}}, 4, SplitBehavior::kRemoved, false).size(), 1U);
}

TEST(ByteLevel, SpellsEveryByteAndReadsItBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  EXPECT_EQ(bytes_of_spelling(spell_bytes(bytes)), bytes);
  EXPECT_EQ(spell_bytes(" \n!\x7f\xad"), "\u0120\u010a!\u0121\u0143");
  EXPECT_EQ(bytes_of_spelling("\u4e16"), std::nullopt);
  EXPECT_EQ(bytes_of_spelling(" "), std::nullopt);
}

TEST(AddedTokens, ContradictionsAreErrors) {
  const Json model = bpe_model({"a", "b"});
  const auto with_tokens = [&](const Json& tokens) {
    return message_of([&] { make_tokenizer({{"model", model}, {"added_tokens", tokens}}); });
  };
  EXPECT_EQ(with_tokens({{{"id", 1}, {"content", "a"}}}),
            "token \"a\" has id 1, but 0 in the vocabulary");
  EXPECT_EQ(with_tokens({{{"id", 1}, {"content", "c"}}}),
            "token \"c\" has id 1, which is \"b\" in the vocabulary");
  EXPECT_EQ(with_tokens({{{"id", 2}, {"content", "c"}}, {{"id", 2}, {"content", "d"}}}),
            "id 2 is given twice, to \"c\" and \"d\"");
  EXPECT_EQ(with_tokens({{{"id", 2}, {"content", "c"}}, {{"id", 3}, {"content", "c"}}}),
            "token \"c\" has two ids, 2 and 3");
}

TEST(AddedTokens, TokenOfSpacesInsideStrippedSpacesIsFoundOnce) {
  const auto tokenizer = make_tokenizer(
      {{"model", bpe_model({"a"})},
       {"added_tokens",
        {{{"id", 1}, {"content", "<r>"}, {"rstrip", true}}, {{"id", 2}, {"content", "  "}}}}});
  EXPECT_EQ(tokenizer->encode("<r>  a  a", false), (Ids{1, 0, 2, 0}));
}

TEST(ToValidUtf8, ReplacesEachBrokenBeginningOnce) {
  EXPECT_EQ(to_valid_utf8("a\u00e9"), "a\u00e9");
  EXPECT_EQ(to_valid_utf8("\xe2\x96"), "\ufffd");  // truncated U+2581
  EXPECT_EQ(to_valid_utf8("\xe2\x96x"), "\ufffdx");
  EXPECT_EQ(to_valid_utf8("\xff\xfe"), "\ufffd\ufffd");
  EXPECT_EQ(to_valid_utf8("\xe0\x80"), "\ufffd\ufffd");            // overlong
  EXPECT_EQ(to_valid_utf8("\xf0\x9f\x91"), "\ufffd");              // truncated U+1F44D
  EXPECT_EQ(to_valid_utf8("\x80\xf4\x90"), "\ufffd\ufffd\ufffd");  // above U+10FFFF
}

}  // namespace
}  // namespace halftone::testing
