#include "recipe/recipe.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using halftone::testing::message_of;
using ::testing::Test;

Recipe parse(std::string_view text) {
  return parse_recipe(text, "test");
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// What is wrong with `text`, and that the message is one line that names the recipe.
std::string complaint(std::string_view text) {
  const std::string message = message_of([&] { parse(text); });
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_EQ(message.rfind("recipe test: ", 0), 0u) << message;
  return message;
}

TEST(Recipe, AbsentKeysTakeTheirDefaults) {
  const Recipe recipe = parse("");
  EXPECT_EQ(recipe.common.objective, ObjectiveOptions{});
  EXPECT_EQ(recipe.common.order, OrderOptions{});
  EXPECT_EQ(recipe.common.grid.bits, 4);
  EXPECT_EQ(recipe.common.grid.group_size, 128);
  EXPECT_TRUE(recipe.automatic_clip_search);
  EXPECT_TRUE(recipe.common.grid.clip_search);
  EXPECT_TRUE(recipe.rules.empty());
}

TEST(Recipe, EveryKeyIsRead) {
  const Recipe recipe = parse(R"(
summary = "a summary"
paper = "a paper"
[objective]
kind = "none"
damping = 1
damping_reference = "median"
first_token = 64
pool = 2
labels = "sampled"
schedule = "blockwise"
blend = 0.25
gate = 1.5
row_groups = 4
[grid]
kind = "uniform"
bits = 3
group_size = 0
symmetric = true
clip_search = true
clip_norm = 2.0
zero_min = 1
scale_bits = 11
[order]
kind = "activation"
static_groups = false
)");
  EXPECT_EQ(recipe.name, "test");
  EXPECT_EQ(recipe.summary, "a summary");
  EXPECT_EQ(recipe.paper, "a paper");
  const ObjectiveOptions objective{
      ObjectiveKind::kNone, 1.0, DampingReference::kMedian, 0.25, 1.5, 4};
  EXPECT_EQ(recipe.common.objective, objective);
  EXPECT_EQ(recipe.model,
            (ModelRecipe{64.0, 2.0, LabelKind::kSampled, ScheduleKind::kBlockWise, {}}));
  const GridOptions grid{.bits = 3,
                         .group_size = 0,
                         .symmetric = true,
                         .clip_search = true,
                         .clip_norm = 2.0,
                         .zero_min = 1,
                         .scale_bits = 11};
  EXPECT_EQ(recipe.common.grid, grid);
  const OrderOptions order{OrderKind::kActivation, false};
  EXPECT_EQ(recipe.common.order, order);
  EXPECT_FALSE(recipe.automatic_clip_search);
}

TEST(Recipe, ABinaryGridHasOneBitAndAMode) {
  for (const auto& [word, mode] : {std::pair{"columns", BinaryMode::kColumns},
                                   {"joint", BinaryMode::kJoint},
                                   {"parity", BinaryMode::kParity}}) {
    const std::string text =
        fmt::format("[grid]\nkind = \"binary\"\nbits = 1\nmode = \"{}\"\n", word);
    const GridOptions grid = parse(text).common.grid;
    EXPECT_EQ(grid.kind, GridKind::kBinary);
    EXPECT_EQ(grid.bits, 1);
    EXPECT_EQ(grid.mode, mode);
  }
  EXPECT_TRUE(contains(complaint("grid.mode = \"rows\""),
                       "expected \"columns\" or \"joint\" or \"parity\", found rows"));
}

TEST(Recipe, DottedKeysAreTheSameAsTables) {
  EXPECT_EQ(parse("grid.bits = 3\norder.kind = \"activation\"\n"),
            parse("[order]\nkind = \"activation\"\n[grid]\nbits = 3\n"));
}

TEST(Recipe, AutomaticClipSearchFollowsTheBits) {
  EXPECT_TRUE(parse("grid.bits = 2").common.grid.clip_search);
  EXPECT_TRUE(parse("grid.bits = 4").common.grid.clip_search);
  EXPECT_FALSE(parse("grid.bits = 5").common.grid.clip_search);
  EXPECT_FALSE(parse("grid.bits = 8\ngrid.clip_search = \"auto\"").common.grid.clip_search);
  EXPECT_TRUE(parse("grid.bits = 8\ngrid.clip_search = true").common.grid.clip_search);
  Recipe recipe = parse("");
  apply_setting(recipe, "grid.bits=6");
  EXPECT_FALSE(recipe.common.grid.clip_search);
  apply_setting(recipe, "grid.bits=3");
  EXPECT_TRUE(recipe.common.grid.clip_search);
  apply_setting(recipe, "grid.clip_search=false");
  apply_setting(recipe, "grid.bits=2");
  EXPECT_FALSE(recipe.common.grid.clip_search);
}

TEST(Recipe, RulesApplyInFileOrderToTheLinearsTheyMatch) {
  const Recipe recipe = parse(R"(
grid.bits = 4
[[rule]]
match = "model.layers.*.mlp.down_proj"
grid.bits = 5
grid.symmetric = true
[[rule]]
match = "model.layers.0.*"
[rule.grid]
bits = 8
)");
  ASSERT_EQ(recipe.rules.size(), 2u);
  EXPECT_EQ(recipe.for_linear("model.layers.1.self_attn.q_proj"), recipe.common);
  const LinearRecipe down = recipe.for_linear("model.layers.1.mlp.down_proj");
  EXPECT_EQ(down.grid.bits, 5);
  EXPECT_TRUE(down.grid.symmetric);
  EXPECT_FALSE(down.grid.clip_search) << "auto is resolved after the rules";
  const LinearRecipe first = recipe.for_linear("model.layers.0.mlp.down_proj");
  EXPECT_EQ(first.grid.bits, 8);
  EXPECT_TRUE(first.grid.symmetric);
  EXPECT_EQ(recipe.common.grid.bits, 4);
}

TEST(Recipe, SettingsChangeTheCommonPartAndRulesStillOverrideIt) {
  Recipe recipe = parse("[[rule]]\nmatch = \"*.down_proj\"\ngrid.bits = 8\n");
  apply_setting(recipe, "grid.bits=3");
  apply_setting(recipe, "grid.group_size=64");
  apply_setting(recipe, "order.kind=activation");
  apply_setting(recipe, "objective.damping=1e-3");
  apply_setting(recipe, "objective.kind=\"none\"");
  EXPECT_EQ(recipe.common.grid.bits, 3);
  EXPECT_EQ(recipe.common.order.kind, OrderKind::kActivation);
  EXPECT_EQ(recipe.common.objective.damping, 1e-3);
  EXPECT_EQ(recipe.common.objective.kind, ObjectiveKind::kNone);
  EXPECT_EQ(recipe.for_linear("x.down_proj").grid.bits, 8);
  EXPECT_EQ(recipe.for_linear("x.down_proj").grid.group_size, 64);
}

TEST(Recipe, IsResolvedOnceForAllLinearsOfARun) {
  const Recipe recipe = parse(
      "grid.bits = 4\nobjective.labels = \"sampled\"\n"
      "[[rule]]\nmatch = \"*.down_proj\"\ngrid.bits = 8\n");
  const RunRecipe run = recipe.resolve({"a.up_proj", "a.down_proj"});
  EXPECT_EQ(run.linears.size(), 2u);
  EXPECT_EQ(run.of("a.up_proj"), recipe.common);
  EXPECT_EQ(run.of("a.down_proj"), recipe.for_linear("a.down_proj"));
  EXPECT_EQ(run.of("a.down_proj").grid.bits, 8);
  EXPECT_EQ(run.model, recipe.model);
  EXPECT_TRUE(run.any([](const LinearRecipe& linear) { return linear.grid.bits == 8; }));
  EXPECT_FALSE(run.any([](const LinearRecipe& linear) { return linear.grid.bits == 3; }));
}

// What the gptq format asks for: a rule that says 0 would make a linear that cannot be written.
TEST(Recipe, ZerosStartWhereAFormatSaysInRulesToo) {
  const Recipe recipe = with_zeros_from(
      1, parse("[[rule]]\nmatch = \"a\"\ngrid.zero_min = 0\n[[rule]]\nmatch = \"b\"\n"
               "grid.bits = 8\n"));
  for (const char* name : {"a", "b", "c"})
    EXPECT_EQ(recipe.for_linear(name).grid.zero_min, 1) << name;
  EXPECT_EQ(parse_recipe(to_toml(recipe), "test"), recipe);
  EXPECT_EQ(with_zeros_from(0, parse("grid.zero_min = 1")).common.grid.zero_min, 1);
}

TEST(Recipe, ValuesArePrintedInTheWordsOfTheirKeys) {
  EXPECT_EQ(recipe_word(ObjectiveKind::kNone), "none");
  EXPECT_EQ(recipe_word(ObjectiveKind::kOac), "oac");
  EXPECT_EQ(recipe_word(ObjectiveKind::kGuided), "guided");
  EXPECT_EQ(recipe_word(LabelKind::kTruth), "truth");
  EXPECT_EQ(recipe_word(LabelKind::kSampled), "sampled");
}

TEST(Recipe, CalibrationIsNeededIfAnyLinearHasAnObjective) {
  EXPECT_TRUE(parse("").needs_calibration());
  EXPECT_FALSE(parse("objective.kind = \"none\"").needs_calibration());
  EXPECT_TRUE(parse("objective.kind = \"none\"\n[[rule]]\nmatch = \"*\"\n"
                    "objective.kind = \"input\"\n")
                  .needs_calibration());
}

TEST(Recipe, SettingErrorsNameTheKeyAndWhatWasExpected) {
  const auto setting_error = [](const char* setting) {
    Recipe recipe = parse("");
    const Recipe before = recipe;
    const std::string message = message_of([&] { apply_setting(recipe, setting); });
    EXPECT_EQ(recipe, before) << setting;
    return message;
  };
  EXPECT_TRUE(contains(setting_error("grid.bits"), "expected KEY=VALUE"));
  EXPECT_TRUE(contains(setting_error(""), "expected KEY=VALUE"));
  EXPECT_TRUE(contains(setting_error("=3"), "expected KEY=VALUE"));
  EXPECT_TRUE(contains(setting_error("grid.bits="), "an integer in 1 .. 8, found nothing"));
  EXPECT_TRUE(contains(setting_error("grid.bitz=3"), "did you mean grid.bits?"));
  EXPECT_TRUE(contains(setting_error("bits=3"), "did you mean grid.bits?"));
  EXPECT_TRUE(contains(setting_error("grid.bits=\n"), "found \\x0a"));
  for (const char* value : {"0", "9", "-3", "3.0", "3x", " 3", "+3", "nan", "1e999",
                            "99999999999999999999", "4294967299", "\"\"", "0x3"})
    EXPECT_TRUE(contains(setting_error(("grid.bits=" + std::string(value)).c_str()),
                         "grid.bits: expected an integer in 1 .. 8, found "))
        << value;
  for (const char* value : {"-0.1", "10.5", "nan", "-nan", "inf", "1e999", "0.1.2", "abc", ""})
    EXPECT_TRUE(contains(setting_error(("objective.damping=" + std::string(value)).c_str()),
                         "objective.damping: expected a number in 0 .. 10, found "))
        << value;
  for (const char* value : {"15", "8", "-1", "1025"})
    EXPECT_TRUE(contains(setting_error(("grid.group_size=" + std::string(value)).c_str()),
                         "expected 0 or an integer in 16 .. 1024"))
        << value;
  EXPECT_TRUE(contains(setting_error("grid.symmetric=yes"), "expected true or false, found yes"));
  EXPECT_TRUE(contains(setting_error("grid.clip_search=1"), "true, false or \"auto\""));
  EXPECT_TRUE(contains(setting_error("order.kind=random"), "\"natural\" or \"activation\""));
}

TEST(Recipe, AnUnknownKeyListsTheKnownOnesAndTheClosest) {
  const std::string message = complaint("\n[grid]\nbitz = 3\n");
  EXPECT_TRUE(contains(message, "line 3: unknown key grid.bitz (did you mean grid.bits?)"));
  for (const char* key :
       {"objective.kind", "objective.damping", "objective.damping_reference", "grid.kind",
        "grid.group_size", "grid.symmetric", "grid.clip_search", "grid.clip_norm", "grid.zero_min",
        "grid.scale_bits", "order.kind", "order.static_groups"})
    EXPECT_TRUE(contains(message, key)) << key;
  EXPECT_TRUE(
      contains(complaint("bits = 3"), "line 1: unknown key bits (did you mean grid.bits?)"));
  EXPECT_TRUE(contains(complaint("grid = 3"), "unknown key grid"));
  EXPECT_TRUE(contains(complaint("grid.bits.more = 3"), "grid.bits: expected an integer"));
  EXPECT_TRUE(contains(complaint("[grid.extra]"), "unknown key grid.extra"));
  EXPECT_TRUE(contains(complaint("\"a\\nb\" = 1"), "unknown key a\\x0ab"));
}

TEST(Recipe, AnUnknownTableListsTheKnownOnes) {
  EXPECT_TRUE(contains(complaint("[layers]\nalpha = 0.25\n"),
                       "line 1: unknown table [layers]; known tables: objective, target, grid, "
                       "outliers, order, transform, and [[rule]]"));
  EXPECT_TRUE(contains(complaint("[outlier]"), "unknown table [outlier] (did you mean outliers?)"));
  EXPECT_TRUE(contains(complaint("[gird]\nbits = 3"), "did you mean grid?"));
}

TEST(Recipe, AKindThatIsNotBuiltNamesTheKindsThatAre) {
  EXPECT_TRUE(contains(complaint("[grid]\nkind = \"lattice\"\n"),
                       "line 2: grid.kind: expected \"uniform\" or \"bilevel\" or \"split\" or "
                       "\"binary\" or \"superblock\" or \"vector\" or \"trellis\", found lattice"));
  EXPECT_TRUE(contains(complaint("objective.kind = \"kron\""),
                       "expected \"none\" or \"input\" or \"oac\""));
}

TEST(Recipe, ValuesOfTheWrongTypeAreRefused) {
  EXPECT_TRUE(contains(complaint("grid.bits = \"3\""), "an integer in 1 .. 8, found a string"));
  EXPECT_TRUE(contains(complaint("grid.bits = 3.5"), "an integer in 1 .. 8, found 3.5"));
  EXPECT_TRUE(contains(complaint("grid.bits = [3]"), "found a list"));
  EXPECT_TRUE(contains(complaint("grid.bits = 1979-05-27"), "found a date or time"));
  EXPECT_TRUE(contains(complaint("grid.symmetric = 1"), "true or false, found 1"));
  EXPECT_TRUE(contains(complaint("objective.damping = nan"), "a number in 0 .. 10, found nan"));
  EXPECT_TRUE(contains(complaint("objective.damping = -inf"), "found -inf"));
  EXPECT_TRUE(contains(complaint("grid.kind = 3"), "or \"trellis\", found 3"));
  EXPECT_TRUE(contains(complaint("summary = 3"), "summary: expected a string, found a value"));
  EXPECT_TRUE(contains(complaint("paper = {}"), "paper: expected a string, found a table"));
}

TEST(Recipe, RulesAreCheckedWhenTheyAreRead) {
  EXPECT_TRUE(contains(complaint("[[rule]]\ngrid.bits = 3"), "expected match ="));
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = \"\"\ngrid.bits = 3"), "expected match ="));
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = 3\ngrid.bits = 3"), "expected a string"));
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = \"*\""), "expected a key to set"));
  EXPECT_TRUE(contains(complaint("[rule]\nmatch = \"*\""), "[[rule]] (two brackets)"));
  EXPECT_TRUE(contains(complaint("rule = [3]"), "expected [[rule]] tables"));
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = \"*\"\ngrid.bits = 12"),
                       "line 3: grid.bits: expected an integer in 1 .. 8, found 12"));
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = \"*\"\ngrid.bit = 3"), "unknown key grid.bit"));
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = \"*\"\nname = 3"), "unknown key name"));
}

// The library asserts what it checks behind that.
TEST(Recipe, ATableWithoutANameIsNotToml) {
  for (const char* text : {"[\n[a]\n", "[", "[ =1", "[[\n", "[#", "[[rule]\n"})
    EXPECT_THROW(parse_recipe(text, "test"), Error) << text;
}

TEST(Recipe, WhatIsNotTomlIsRefusedWithItsLine) {
  EXPECT_TRUE(contains(complaint("\n\ngrid.bits = \n"), "line 3: not TOML"));
  EXPECT_TRUE(contains(complaint("grid.bits = 3\ngrid.bits = 4\n"), "not TOML"));
  EXPECT_TRUE(contains(complaint("summary = \"\xff\""), "not TOML"));
  EXPECT_TRUE(contains(complaint("summary = \"open"), "not TOML"));
  EXPECT_TRUE(contains(complaint(std::string(100000, '[')), "not TOML"));
  EXPECT_TRUE(contains(complaint(std::string("a\0b", 3)), "not TOML"));
}

TEST(Recipe, PrintingAndParsingGivesTheSameRecipe) {
  const Recipe recipe = parse(R"(
summary = "quotes \" and \\ and a line\nbreak, é"
paper = ""
objective.damping = 1e-05
grid.bits = 7
grid.clip_norm = 3
[[rule]]
match = "a\\b*\""
order.kind = "activation"
objective.damping = 2
grid.clip_search = "auto"
[[rule]]
match = "c"
grid.clip_search = false
)");
  EXPECT_EQ(parse_recipe(to_toml(recipe), "test"), recipe);
  EXPECT_EQ(parse_recipe(to_toml_with_help(recipe), "test"), recipe);
  EXPECT_EQ(to_toml(parse_recipe(to_toml(recipe), "test")), to_toml(recipe));
  EXPECT_EQ(parse_recipe(to_toml(Recipe{}), ""), Recipe{});
}

TEST(Recipe, ATransformHoldsForTheWholeModelOnly) {
  EXPECT_TRUE(contains(complaint("[[rule]]\nmatch = \"*\"\ntransform.rotation = \"quarot\""),
                       "for the whole model"));
  EXPECT_EQ(parse("[transform]\nrotation = \"quarot\"").model.transform.rotation,
            RotationKind::kQuaRot);
}

TEST(Recipe, LabelsScheduleAndFirstTokensHoldForTheWholeModelOnly) {
  for (const char* setting : {"objective.labels = \"sampled\"", "objective.schedule = \"oneshot\"",
                              "objective.first_token = 4"})
    EXPECT_TRUE(contains(complaint(std::string("[[rule]]\nmatch = \"*\"\n") + setting),
                         "for the whole model"));
  const Recipe recipe = parse("[[rule]]\nmatch = \"*\"\nobjective.kind = \"oac\"");
  EXPECT_EQ(recipe.for_linear("any").objective.kind, ObjectiveKind::kOac);
}

TEST(Recipe, PrintedRecipesHoldEveryKeyInAFixedOrder) {
  EXPECT_EQ(to_toml(parse("summary = \"s\"\n[[rule]]\nmatch = \"m\"\ngrid.bits = 3")),
            R"(summary = "s"
paper = ""

[objective]
kind = "input"
damping = 0.01
damping_reference = "mean"
first_token = 1.0
pool = 0.1
labels = "truth"
schedule = "oneshot"
blend = 0.0
gate = 0.0
row_groups = 1

[target]
alpha = 0.0
alpha2 = 0.0
preshift = 0.0
auto = false
parity = "none"
fit = "original"

[grid]
kind = "uniform"
bits = 4
group_size = 128
symmetric = false
clip_search = "auto"
clip_norm = 2.4
clip_weights = "none"
signed_scale = false
zero_min = 0
scale_bits = -1
mode = "columns"
levels = "even"
codebook = "iq2_xxs"
code = "3inst"
state_bits = 12
outlier_codes = "uniform"
qq_groupsize = 16
qq_scale_bits = 3
qq_zero_bits = 3
round_zero = false

[outliers]
kind = "none"
tau = 0.2
rate = 0.0
simplified = false
ranking = "plain"

[order]
kind = "natural"
static_groups = true

[transform]
rotation = "none"
online = false

[[rule]]
match = "m"
grid.bits = 3
)");
}

TEST(Recipe, ClipSearchIsAutomaticOnUniformGridsOnly) {
  EXPECT_TRUE(parse("[grid]\nkind = \"uniform\"\nbits = 3").common.grid.clip_search);
  EXPECT_FALSE(parse("[grid]\nkind = \"bilevel\"\nbits = 3").common.grid.clip_search);
  EXPECT_FALSE(parse("[grid]\nbits = 3\nkind = \"bilevel\"").common.grid.clip_search);
}

TEST(Recipe, ImpossibleRunsAndRatesAreRefused) {
  EXPECT_TRUE(contains(complaint("grid.qq_groupsize = 3"), "expected 2, 4, 8 or 16, found 3"));
  EXPECT_TRUE(contains(complaint("outliers.rate = 1.0"), "expected a number in 0 .. 0.2"));
  EXPECT_TRUE(contains(complaint("outliers.tau = 0.0"), "expected a number in 1e-6 .. 1e6"));
}

TEST(Recipe, HelpStandsBehindEveryKey) {
  const std::string text = to_toml_with_help(parse(""));
  EXPECT_TRUE(contains(text, "bits = 4                         # bits of a code: an integer in"));
}

TEST(BuiltinRecipes, AreSortedAndParseAndRoundTrip) {
  const auto& recipes = builtin_recipes();
  ASSERT_GE(recipes.size(), 2u);
  std::string before;
  for (const auto& [name, text] : recipes) {
    EXPECT_LT(before, name);
    before = name;
    const Recipe recipe = parse_recipe(text, name);
    EXPECT_FALSE(recipe.summary.empty()) << name;
    EXPECT_FALSE(recipe.paper.empty()) << name;
    EXPECT_EQ(parse_recipe(to_toml(recipe), name), recipe);
  }
}

Recipe builtin(const std::string& wanted) {
  for (const auto& [name, text] : builtin_recipes())
    if (name == wanted) return parse_recipe(text, name);
  ADD_FAILURE() << "no recipe " << wanted;
  return {};
}

TEST(BuiltinRecipes, RtnIsPlainAndNeedsNoCalibration) {
  const Recipe rtn = builtin("rtn");
  const GridOptions grid{.bits = 4, .group_size = 128, .clip_search = false};
  EXPECT_EQ(rtn.common.grid, grid);
  EXPECT_FALSE(rtn.needs_calibration());
  EXPECT_EQ(rtn.common.order.kind, OrderKind::kNatural);
}

TEST(BuiltinRecipes, GptqSearchesTheClipAtFourBitsAndBelow) {
  Recipe gptq = builtin("gptq");
  const GridOptions grid{.bits = 4, .group_size = 128, .clip_search = true};
  EXPECT_EQ(gptq.common.grid, grid);
  const OrderOptions order{OrderKind::kActivation, true};
  EXPECT_EQ(gptq.common.order, order);
  EXPECT_EQ(gptq.common.objective, ObjectiveOptions{});
  EXPECT_TRUE(gptq.needs_calibration());
  apply_setting(gptq, "grid.bits=5");
  EXPECT_FALSE(gptq.common.grid.clip_search);
}

}  // namespace
}  // namespace halftone
