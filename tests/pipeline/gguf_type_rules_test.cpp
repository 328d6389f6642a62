#include "pipeline/gguf_type_rules.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "format/gguf_blocks.h"
#include "recipe/rules.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::message_of;

LinearSlot slot(int block, const std::string& name, int64_t in) {
  LinearSlot linear;
  linear.relative = name;
  linear.name = "model.layers." + std::to_string(block) + "." + name;
  linear.out = 64;
  linear.in = in;
  return linear;
}

// Two blocks of a model whose residual stream no super-block divides.
std::vector<LinearSlot> linears(int64_t hidden = 576) {
  std::vector<LinearSlot> all;
  for (const int block : {0, 1}) {
    all.push_back(slot(block, "self_attn.q_proj", hidden));
    all.push_back(slot(block, "mlp.down_proj", 1536));
  }
  return all;
}

std::string type_of(const Recipe& recipe, const LinearSlot& linear) {
  const LinearRecipe own = recipe.for_linear(linear.name);
  EXPECT_NO_THROW(require_linear(own, recipe.model, linear.out, linear.in));
  const LinearPlan plan{.name = linear.name, .out = 64, .in = linear.in, .grid = stored_grid(own)};
  EXPECT_EQ(gguf_grid_refusal(plan), "");
  return std::string(gguf_type_of(plan)->name);
}

TEST(GgufTypeRules, TheSettingsOfATypeAreAGridThatItHolds) {
  for (const GgufType& type : gguf_types())
    for (const bool compensated : {false, true}) {
      Recipe recipe;
      for (const auto& [key, text] : gguf_grid_settings(type, compensated))
        apply_setting(recipe, key + "=" + text);
      if (gguf_grid_settings(type, compensated).empty()) {
        EXPECT_EQ((", " + gguf_grid_types() + ",").find(fmt::format(", {},", type.name)),
                  std::string::npos);
        continue;
      }
      if (!compensated) recipe.common.objective.kind = ObjectiveKind::kNone;
      EXPECT_NO_THROW(require_linear(recipe.common, {}, 16, 512)) << type.name;
      const LinearPlan plan{.name = "a", .out = 16, .in = 512, .grid = stored_grid(recipe.common)};
      EXPECT_EQ(gguf_grid_refusal(plan), "") << type.name;
      EXPECT_EQ(gguf_type_of(plan), &type) << type.name;
    }
}

TEST(GgufTypeRules, EveryLinearGetsTheTypeWhereItsRowsAllowIt) {
  for (const char* type :
       {"Q4_0", "Q8_0", "Q4_K", "Q6_K", "IQ2_XXS", "IQ3_S", "IQ4_XS", "IQ4_NL"}) {
    const TypedRecipe typed = with_gguf_type({}, type, linears(512));
    EXPECT_EQ(typed.note, "");
    EXPECT_TRUE(typed.recipe.rules.empty());
    for (const LinearSlot& linear : linears(512)) EXPECT_EQ(type_of(typed.recipe, linear), type);
  }
}

TEST(GgufTypeRules, OthersGetTheStockQuantizersSubstituteInOneRuleAName) {
  for (const auto& [asked, other] : {std::pair{"Q2_K", "Q4_0"},
                                     {"Q3_K", "Q4_0"},
                                     {"Q4_K", "Q5_0"},
                                     {"Q5_K", "Q5_1"},
                                     {"Q6_K", "Q8_0"},
                                     {"IQ2_XS", "IQ4_NL"},
                                     {"IQ4_XS", "IQ4_NL"}}) {
    const TypedRecipe typed = with_gguf_type({}, asked, linears());
    ASSERT_EQ(typed.recipe.rules.size(), 1U);
    EXPECT_EQ(typed.recipe.rules.front().match, "*.self_attn.q_proj");
    EXPECT_EQ(type_of(typed.recipe, linears()[0]), other);
    EXPECT_EQ(type_of(typed.recipe, linears()[3]), asked);
  }
  EXPECT_EQ(
      with_gguf_type({}, "Q4_K", linears()).note,
      "2 of 4 linears are Q5_0 (5.5 bits a weight) in place of Q4_K (4.5), whose blocks of 256 "
      "do not divide 576 columns");
}

TEST(GgufTypeRules, BlocksThatDifferUnderOneNameAreNamedOneByOne) {
  std::vector<LinearSlot> uneven = linears(512);
  uneven[2].in = 576;
  const TypedRecipe typed = with_gguf_type({}, "Q4_K", uneven);
  ASSERT_EQ(typed.recipe.rules.size(), 1U);
  EXPECT_EQ(typed.recipe.rules.front().match, "model.layers.1.self_attn.q_proj");
}

TEST(GgufTypeRules, TheRecipesOwnRulesComeLast) {
  Recipe recipe;
  recipe.rules = {{.match = "*q_proj", .settings = {{"objective.damping", "0.5"}}}};
  const TypedRecipe typed = with_gguf_type(recipe, "Q4_K", linears());
  EXPECT_EQ(typed.recipe.rules.back(), recipe.rules.front());
  EXPECT_EQ(typed.recipe.for_linear(linears()[0].name).objective.damping, 0.5);
}

TEST(GgufTypeRules, WithoutAnObjectiveTheSearchIsNotWeighed) {
  Recipe recipe;
  recipe.common.objective.kind = ObjectiveKind::kNone;
  const TypedRecipe typed = with_gguf_type(recipe, "IQ2_S", linears(512));
  EXPECT_EQ(typed.recipe.common.grid.clip_weights, ClipWeights::kNone);
  EXPECT_EQ(type_of(typed.recipe, linears(512)[0]), "IQ2_S");
}

TEST(GgufTypeRules, TypesWithoutAGridAndRowsWithoutABlockAreRefused) {
  const auto refusal = [](const char* type, int64_t hidden) {
    return message_of([&] { with_gguf_type({}, type, linears(hidden)); });
  };
  EXPECT_NE(refusal("Q4_X", 512).find("--type: expected one of Q2_0, Q4_0"), std::string::npos);
  EXPECT_NE(refusal("IQ1_S", 512).find("found IQ1_S"), std::string::npos);
  EXPECT_NE(refusal("F16", 512).find("found F16"), std::string::npos);
  EXPECT_EQ(refusal("Q4_K", 172),
            "type Q4_K: model.layers.0.self_attn.q_proj has 172 input columns, not a multiple of "
            "256, nor of the 32 of Q5_0");
  EXPECT_EQ(refusal("Q4_0", 172),
            "type Q4_0: model.layers.0.self_attn.q_proj has 172 input columns, not a multiple of "
            "32");
}

}  // namespace
}  // namespace halftone
