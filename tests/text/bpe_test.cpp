// Merging against a slow reference that looks for the best pair again after every merge.
#include "text/bpe.h"

#include <map>

#include "base/random.h"
#include "text/library_texts.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

using Tokens = std::vector<std::string>;

struct RandomRules {
  Tokens tokens;
  std::vector<std::pair<std::string, std::string>> merges;
};

// Every merge joins two tokens that exist already, as a trained vocabulary does.
RandomRules random_rules(const Tokens& alphabet, size_t count, Random& random) {
  RandomRules rules{alphabet, {}};
  while (rules.merges.size() < count) {
    const std::string left = rules.tokens[random.below(rules.tokens.size())];
    const std::string right = rules.tokens[random.below(rules.tokens.size())];
    const std::pair merge{left, right};
    if (std::count(rules.merges.begin(), rules.merges.end(), merge) > 0) continue;
    rules.merges.push_back(merge);
    if (std::count(rules.tokens.begin(), rules.tokens.end(), left + right) == 0)
      rules.tokens.push_back(left + right);
  }
  return rules;
}

Json model_of(const RandomRules& rules) {
  Json model = bpe_model(rules.tokens);
  model["merges"] = rules.merges;
  return model;
}

Tokens slow_merge(const RandomRules& rules, Tokens symbols) {
  std::map<std::pair<std::string, std::string>, size_t> rank;
  for (size_t i = 0; i < rules.merges.size(); ++i) rank[rules.merges[i]] = i;
  for (;;) {
    size_t best = symbols.size(), best_rank = rules.merges.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto at = rank.find({symbols[i], symbols[i + 1]});
      if (at != rank.end() && at->second < best_rank) best = i, best_rank = at->second;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

Tokens encode_with(const Bpe& bpe, const std::string& text) {
  BpeScratch scratch;
  Ids ids;
  bpe.encode(text, scratch, ids);
  Tokens tokens;
  for (const TokenId id : ids) tokens.push_back(*bpe.vocabulary().text(id));
  return tokens;
}

TEST(Bpe, MergesLikeTheSlowReference) {
  Random random(1);
  const Tokens alphabet = {"a", "b", "c"};
  for (int trial = 0; trial < 200; ++trial) {
    const RandomRules rules = random_rules(alphabet, 1 + random.below(20), random);
    const Bpe bpe(model_of(rules), false);
    for (int i = 0; i < 20; ++i) {
      Tokens symbols;
      std::string text;
      for (uint64_t n = random.below(70); n > 0; --n)
        text += symbols.emplace_back(alphabet[random.below(alphabet.size())]);
      ASSERT_EQ(encode_with(bpe, text), slow_merge(rules, symbols)) << text;
    }
  }
}

// Some of the rules join characters to a following U+2581, some do not: cutting before it must not
// show.
TEST(Bpe, CuttingBeforeWordStartsChangesNoToken) {
  Random random(2);
  const Tokens alphabet = {"a", "b", "\u2581", ">"};
  for (int trial = 0; trial < 300; ++trial) {
    const RandomRules rules = random_rules(alphabet, 1 + random.below(12), random);
    const Bpe bpe(model_of(rules), false);
    for (int i = 0; i < 20; ++i) {
      Tokens symbols;
      std::string text;
      for (uint64_t n = random.below(40); n > 0; --n)
        text += symbols.emplace_back(alphabet[random.below(alphabet.size())]);
      ASSERT_EQ(encode_with(bpe, text), slow_merge(rules, symbols)) << text;
    }
  }
}

TEST(Bpe, UnknownCharactersBeforeWordStartsStayWithTheirWord) {
  // <0x21> is the byte token of '!'; a rule joins it to a following U+2581
  Json model = bpe_model({"<unk>", "a", "\u2581", "<0x21>", "<0x21>\u2581"}, {"<0x21> \u2581"});
  model["byte_fallback"] = true;
  EXPECT_EQ(encode_with(Bpe(model, false), "a\u2581!\u2581a"),
            (Tokens{"a", "\u2581", "<0x21>\u2581", "a"}));
}

TEST(Bpe, LaterCopyOfAMergeCounts) {
  const Json model = bpe_model({"a", "b", "c", "ab", "bc"}, {"a b", "b c", "a b"});
  EXPECT_EQ(encode_with(Bpe(model, false), "abc"), (Tokens{"a", "bc"}));
}

// Quadratic work would take hours here.
TEST(Bpe, WordOfAMillionCharactersIsMergedInReasonableTime) {
  const Bpe pairs(bpe_model({"a", "b", "aa", "aaaa", "ba"}, {"a a", "aa aa", "b a"}), false);
  const size_t length = size_t{1} << 20;
  EXPECT_EQ(encode_with(pairs, std::string(length, 'a')).size(), length / 4);
  EXPECT_EQ(encode_with(pairs, std::string(length, 'b')).size(), length);
  std::string starts;
  for (size_t i = 0; i < length; ++i) starts += "\u2581";
  const Bpe words(bpe_model({"\u2581", "\u2581\u2581"}, {"\u2581 \u2581"}), false);
  EXPECT_EQ(encode_with(words, starts).size(), length / 2);
}

TEST(Bpe, RepeatedWordsGiveTheSameTokensAsSingleOnes) {
  const Json model = bpe_model({"a", "b", "ab", "\u2581", "\u2581ab"}, {"a b", "\u2581 ab"});
  const Bpe bpe(model, false);
  const Tokens once = encode_with(bpe, "\u2581abba");
  Tokens twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(encode_with(bpe, "\u2581abba\u2581abba"), twice);
}

}  // namespace
}  // namespace halftone::testing
