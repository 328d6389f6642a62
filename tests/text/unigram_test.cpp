// The best cut of a piece against all cuts there are, and vocabularies that lie.
#include "text/unigram.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "text/library_texts.h"

namespace halftone::testing {
namespace {

using Scores = std::vector<std::pair<std::string, double>>;

Json model_of(const Scores& tokens) {
  Json vocabulary = Json::array();
  for (const auto& [text, score] : tokens) vocabulary.push_back({text, score});
  return {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocabulary}};
}

Ids encode_with(const Unigram& unigram, const std::string& text) {
  UnigramScratch scratch;
  Ids ids;
  unigram.encode(text, scratch, ids);
  return ids;
}

double number(Random& random) {
  return static_cast<double>(random.below(1000)) / 1000;
}

// The greatest sum of scores over all ways to cut the text into tokens.
double best_sum(const Scores& tokens, std::string_view text) {
  if (text.empty()) return 0;
  double best = -INFINITY;
  for (const auto& [token, score] : tokens)
    if (text.starts_with(token))
      best = std::max(best, score + best_sum(tokens, text.substr(token.size())));
  return best;
}

TEST(Unigram, FindsTheCutOfTheGreatestSum) {
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    Scores tokens = {{"?", -30}};
    for (const char* letter : {"a", "b", "c"}) tokens.emplace_back(letter, -5 - number(random));
    while (tokens.size() < 14) {
      std::string text;
      for (uint64_t i = 0; i < 2 + random.below(4); ++i)
        text += static_cast<char>('a' + random.below(3));
      if (std::none_of(tokens.begin(), tokens.end(), [&](auto& t) { return t.first == text; }))
        tokens.emplace_back(text, -4 - 10 * number(random));
    }
    const Unigram unigram(model_of(tokens));
    std::string text;
    for (int i = 0; i < 12; ++i) text += static_cast<char>('a' + random.below(3));
    double sum = 0;
    std::string joined;
    for (const TokenId id : encode_with(unigram, text)) {
      sum += tokens[static_cast<size_t>(id)].second;
      joined += tokens[static_cast<size_t>(id)].first;
    }
    EXPECT_EQ(joined, text);
    EXPECT_NEAR(sum, best_sum(tokens, text), 1e-9);
  }
}

TEST(Unigram, NeighboursWithoutTokensAreOneUnknown) {
  const Unigram unigram(model_of({{"?", 0}, {"a", -1}}));
  EXPECT_EQ(encode_with(unigram, "xyaéz"), (Ids{0, 1, 0}));
  EXPECT_TRUE(encode_with(unigram, "").empty());
}

TEST(Unigram, ACharacterWithoutATokenNeedsOneThatStandsForIt) {
  Json model = model_of({{"a", -1}, {"b", -2}});
  model.erase("unk_id");
  const Unigram unigram(model);
  EXPECT_EQ(encode_with(unigram, "ab"), (Ids{0, 1}));
  EXPECT_EQ(message_of([&] { encode_with(unigram, "aéb"); }),
            "\"\u00e9\" has no token, and there is no \"unk_id\"");
}

TEST(Unigram, LongPiecesTakeTheirLengthInTime) {
  const Unigram unigram(model_of({{"?", 0}, {"a", -1}, {std::string(1024, 'a'), -2}}));
  EXPECT_EQ(encode_with(unigram, std::string(1 << 18, 'a')).size(), 256U);
}

TEST(UnigramHostile, EveryImpossibleModelIsAnError) {
  const Json good = model_of({{"?", 0}, {"a", -1}});
  const auto error = [&](const char* key, const Json& value) {
    Json model = good;
    model[key] = value;
    return message_of([&] { Unigram unigram(model); });
  };
  EXPECT_NE(error("vocab", Json::array()).find("found none"), std::string::npos);
  for (const Json& vocabulary :
       {Json(3), Json::object(), Json{"a"}, Json{{"a"}}, Json{{1, 2}}, Json{{"a", "b"}},
        Json{{"a", 1, 2}}, Json{{"a", 1}, {"a", 2}}, Json{{std::string(1025, 'a'), 1}}})
    EXPECT_NE(error("vocab", vocabulary), "") << vocabulary;
  for (const Json& unknown : {Json(2), Json(-1), Json("a"), Json(1.5)})
    EXPECT_NE(error("unk_id", unknown), "") << unknown;
  EXPECT_NE(error("byte_fallback", "yes"), "");
}

}  // namespace
}  // namespace halftone::testing
