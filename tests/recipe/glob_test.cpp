#include "recipe/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace halftone {
namespace {

TEST(Glob, AStarMatchesAnyRunOfCharactersDotsIncluded) {
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("*", "model.layers.0.mlp.down_proj"));
  EXPECT_TRUE(matches_glob("model.layers.*.mlp.down_proj", "model.layers.12.mlp.down_proj"));
  EXPECT_TRUE(matches_glob("*down_proj", "model.layers.12.mlp.down_proj"));
  EXPECT_TRUE(matches_glob("a*b*c", "a.b.b.xc"));
  EXPECT_TRUE(matches_glob("a**", "a"));
}

TEST(Glob, AQuestionMarkMatchesOneCharacter) {
  EXPECT_TRUE(matches_glob("layers.?.q", "layers.3.q"));
  EXPECT_FALSE(matches_glob("layers.?.q", "layers.13.q"));
  EXPECT_FALSE(matches_glob("?", ""));
}

TEST(Glob, TheWholeNameMustMatch) {
  EXPECT_FALSE(matches_glob("down_proj", "mlp.down_proj"));
  EXPECT_FALSE(matches_glob("mlp", "mlp.down_proj"));
  EXPECT_FALSE(matches_glob("", "x"));
  EXPECT_TRUE(matches_glob("", ""));
  EXPECT_FALSE(matches_glob("a*b", "a.b.c"));
}

TEST(Glob, OtherSpecialCharactersStandForThemselves) {
  EXPECT_TRUE(matches_glob("a[0].b", "a[0].b"));
  EXPECT_FALSE(matches_glob("a.b", "axb"));
}

TEST(Glob, ManyStarsTakeNoExponentialTime) {
  std::string pattern, name(5000, 'a');
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(matches_glob(pattern + "b", name));
}

}  // namespace
}  // namespace halftone
