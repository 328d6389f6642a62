// Cutting text for sentencepiece must not show: the library's ids for the whole are the reference.
#include <sentencepiece_processor.h>

#include "base/files.h"
#include "base/random.h"
#include "text/library_texts.h"
#include "text/sentencepiece_cuts.h"

namespace halftone::testing {
namespace {

std::string random_words(Random& random) {
  constexpr const char* kParts[] = {" ",  "  ", "a",      "b",      "the",    ".", "\n",
                                    "\t", "Z",  "\u2581", "\u00e9", "\u4e16", "1", ","};
  std::string text;
  for (uint64_t count = random.below(30); count > 0; --count)
    text += kParts[random.below(std::size(kParts))];
  return text;
}

void expect_ids_of_the_whole(const std::filesystem::path& model) {
  const auto tokenizer = open_tokenizer(model);
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load(model.string()).ok());
  Random random(4);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = random_words(random);
    std::vector<int> expected;
    ASSERT_TRUE(library.Encode(text, &expected).ok());
    ASSERT_EQ(tokenizer->encode(text, false), expected) << Json(text).dump(-1, ' ', true);
  }
}

TEST(SentencePiece, TextsCutAtSpacesGiveTheIdsOfTheWhole) {
  expect_ids_of_the_whole(test_data("tokenizers/tok105/tokenizer.model"));
}

TEST(GoldenSentencePiece, TextsCutAtSpacesGiveTheIdsOfTheWhole) {
  HALFTONE_REQUIRE_SHARED("tokenizers");
  expect_ids_of_the_whole(shared_data("tokenizers/llama2_tokenizer_32k/tokenizer.model"));
}

// A model of the fields that matter, as sentencepiece_model.proto lays them out.
std::string length_prefixed(char key, const std::string& message) {
  return std::string{key, static_cast<char>(message.size())} + message;
}
std::string piece(const std::string& text) {
  return length_prefixed(0x0a, length_prefixed(0x0a, text));
}
std::string normalizer(const std::string& fields) {
  return length_prefixed(0x1a, fields);
}
const std::string kLetters = piece("a") + piece("b") + piece("\u2581") +
                             piece(
                                 "\u2581\u2581"
                                 "ab");

size_t first_cut(const std::string& model, const std::string& text) {
  return SentencePieceCuts(model).part_end(text, 0);
}

TEST(SentencePieceCuts, LieAtSingleSpacesAfterKnownCharacters) {
  EXPECT_EQ(first_cut(kLetters, "a b"), 1U);
  EXPECT_EQ(first_cut(kLetters, "c b"), 3U);       // c is unknown
  EXPECT_EQ(first_cut(kLetters, "a  b a b"), 4U);  // two spaces
  EXPECT_EQ(first_cut(kLetters, " a "), 3U);
  EXPECT_EQ(first_cut(kLetters, "\u2581 b"), 5U);
}

TEST(SentencePieceCuts, AreNotMadeWhereTheModelForbidsThem) {
  EXPECT_EQ(first_cut(kLetters + normalizer(""), "a b"), 1U);
  EXPECT_EQ(first_cut(kLetters + piece("a\u2581"), "a b"), 3U);
  EXPECT_EQ(first_cut(kLetters + piece("a b"), "a b"), 3U);
  EXPECT_EQ(first_cut(piece("a") + piece("b"), "a b"), 3U);                           // no space
  EXPECT_EQ(first_cut(kLetters + normalizer("\x12\x01x"), "a b"), 3U);                // has rules
  EXPECT_EQ(first_cut(kLetters + normalizer(std::string("\x18\0", 2)), "a b"), 3U);   // no prefix
  EXPECT_EQ(first_cut(kLetters + normalizer(std::string("\x28\0", 2)), "a b"), 3U);   // no U+2581
  EXPECT_EQ(first_cut(kLetters + length_prefixed(0x12, "\xc0\x01\x01"), "a b"), 3U);  // suffix
  EXPECT_EQ(first_cut(kLetters.substr(0, kLetters.size() - 1), "a b"), 3U);           // truncated
}

}  // namespace
}  // namespace halftone::testing
