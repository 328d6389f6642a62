#include "recipe/mix.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::message_of;

constexpr const char* kHead =
    "summary = \"a mix\"\nfile_type = 15\ntype = \"Q4_K\"\nhead = \"Q6_K\"\n";

Mix mix_of(const std::string& rules) {
  return parse_mix(kHead + rules, "MINE");
}

std::string blocks_of(const char* blocks, int64_t count) {
  const Mix mix = mix_of(std::string("[[rule]]\ntensors = [\"attn_v\"]\nblocks = \"") + blocks +
                         "\"\ntype = \"Q6_K\"\n");
  std::string held;
  for (int64_t block = 0; block < count; ++block)
    held += mix.type_of("attn_v", block, count, 1) == "Q6_K" ? '1' : '0';
  return held;
}

TEST(Mixes, BlocksAreChosenAsTheStockQuantizerDoes) {
  EXPECT_EQ(blocks_of("more", 16), "1100100100100111");
  EXPECT_EQ(blocks_of("more", 6), "001001");  // no eighth of six
  EXPECT_EQ(blocks_of("middle", 16), "0011111111111100");
  EXPECT_EQ(blocks_of("first 2", 4), "1100");
  EXPECT_EQ(blocks_of("first 1/8", 17), "11000000000000000");
}

TEST(Mixes, TheLastRuleThatHoldsDecides) {
  const Mix mix = mix_of(
      "[[rule]]\ntensors = [\"attn_v\", \"ffn_down\"]\ntype = \"Q5_K\"\n"
      "[[rule]]\ntensors = [\"attn_v\"]\nleast_gqa = 4\ntype = \"Q6_K\"\n");
  EXPECT_EQ(mix.type_of("attn_v", 0, 8, 3), "Q5_K");
  EXPECT_EQ(mix.type_of("attn_v", 0, 8, 4), "Q6_K");
  EXPECT_EQ(mix.type_of("ffn_down", 0, 8, 4), "Q5_K");
  EXPECT_EQ(mix.type_of("attn_q", 0, 8, 4), "Q4_K");
  EXPECT_EQ(mix.embedding, "Q4_K");
}

TEST(Mixes, MistakesAreNamedWithTheirLine) {
  const auto refusal = [](const std::string& rules) { return message_of([&] { mix_of(rules); }); };
  EXPECT_EQ(refusal("tpye = \"Q4_K\"\n"),
            "mix MINE: line 5: unknown key tpye (did you mean type?); known keys: summary, "
            "file_type, type, embedding, head, rule");
  EXPECT_EQ(refusal("[[rule]]\ntype = \"Q4_K\"\n"), "mix MINE: line 5: \"tensors\" is missing");
  EXPECT_EQ(refusal("[[rule]]\ntensors = [3]\ntype = \"Q4_K\"\n"),
            "mix MINE: line 6: tensors: expected a string, found a value");
  EXPECT_EQ(refusal("[[rule]]\ntensors = [\"a\"]\n"), "mix MINE: line 5: \"type\" is missing");
  for (const char* blocks : {"first", "first 0", "first 1/0", "first -1", "last 2", "first 2x"})
    EXPECT_EQ(refusal(std::string("[[rule]]\ntensors = [\"a\"]\nblocks = \"") + blocks +
                      "\"\ntype = \"Q4_K\"\n"),
              std::string("mix MINE: line 7: blocks: expected more, middle, first N or first 1/N, "
                          "found ") +
                  blocks);
  EXPECT_EQ(refusal("[[rule]]\ntensors = [\"a\"]\nleast_gqa = 0\ntype = \"Q4_K\"\n"),
            "mix MINE: line 7: least_gqa: expected a whole number from 1 to 1024");
  EXPECT_EQ(refusal("[rule]\ntype = \"Q4_K\"\n"),
            "mix MINE: line 5: expected [[rule]] (two brackets), found a table");
  EXPECT_EQ(message_of([] { parse_mix("summary = \"a\"\nhead = \"Q6_K\"\n", "MINE"); }),
            "mix MINE: line 1: \"file_type\" is missing");
  EXPECT_NE(message_of([] { parse_mix("summary", "MINE"); }).find("mix MINE: line 1: not TOML"),
            std::string::npos);
}

TEST(Mixes, ThoseOfTheProgramAreReadAndFoundByName) {
  for (const auto& [name, text] : builtin_mixes()) {
    EXPECT_TRUE(is_mix(name));
    EXPECT_EQ(find_mix(name).name, name);
  }
  EXPECT_FALSE(is_mix("Q4_K_X"));
  const std::string refusal = message_of([] { find_mix("Q4_K_X"); });
  EXPECT_NE(refusal.find("found Q4_K_X (did you mean Q4_K_"), std::string::npos) << refusal;
}

}  // namespace
}  // namespace halftone
