#include "recipe/rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using halftone::testing::message_of;
using Change = std::function<void(LinearRecipe&)>;

// What is wrong with the default recipe once it is changed so; empty: nothing.
std::string complaint(const Change& change, int64_t rows = 0, const ModelRecipe& model = {},
                      int64_t columns = 0) {
  LinearRecipe recipe;
  change(recipe);
  try {
    require_linear(recipe, model, rows, columns);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string of_target(const TargetOptions& target) {
  return complaint([&](auto& r) { r.target = target; });
}

void expect_in(std::string_view part, const std::string& message) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

Change binary(const Change& change) {
  return [=](LinearRecipe& r) {
    r.grid.kind = GridKind::kBinary;
    r.grid.bits = 1;
    change(r);
  };
}

Change bilevel(const Change& change) {
  return [=](LinearRecipe& r) {
    r.grid.kind = GridKind::kBilevel;
    change(r);
  };
}

Change super_blocks(const Change& change) {
  return [=](LinearRecipe& r) {
    r.grid = {.kind = GridKind::kSuperBlock, .bits = 4, .group_size = 32};
    change(r);
  };
}

Change trellis(const Change& change) {
  return [=](LinearRecipe& r) {
    r.grid = {.kind = GridKind::kTrellis, .bits = 2, .group_size = 0, .symmetric = true};
    change(r);
  };
}

Change vectors(const Change& change) {
  return [=](LinearRecipe& r) {
    r.grid = {.kind = GridKind::kVector,
              .bits = 3,
              .group_size = 32,
              .symmetric = true,
              .codebook = Codebook::kIq3S};
    change(r);
  };
}

Change ranked(const Change& change) {
  return [=](LinearRecipe& r) {
    r.objective.kind = ObjectiveKind::kOac;
    r.outliers = {.kind = OutlierKind::kSpqr, .ranking = OutlierRanking::kRowEnergy};
    change(r);
  };
}

TEST(Rules, EveryRecipeOfTheProgramHolds) {
  for (const auto& [name, text] : builtin_recipes()) {
    const Recipe recipe = parse_recipe(text, name);
    EXPECT_NO_THROW(require_linear(recipe.common, recipe.model, 64)) << name;
    EXPECT_NO_THROW(require_model(recipe.model)) << name;
    EXPECT_NO_THROW(require_sequences(recipe.resolve({"a"}), 128)) << name;
  }
}

TEST(Rules, NumbersAreRefusedOutsideTheirRange) {
  EXPECT_EQ(complaint([](auto&) {}), "");
  EXPECT_EQ(complaint([](auto& r) { r.grid.bits = 9; }), "grid.bits: expected 2 to 8, not 9");
  EXPECT_EQ(complaint([](auto& r) { r.grid.group_size = -1; }),
            "grid.group_size: expected 0 (the whole row) or more, not -1");
  EXPECT_EQ(complaint([](auto& r) { r.grid.zero_min = 2; }),
            "grid.zero_min: expected 0 or 1, not 2");
  EXPECT_EQ(complaint([](auto& r) { r.objective.damping = -0.5; }),
            "objective.damping: expected 0 or more, not -0.5");
  expect_in("grid.clip_norm", complaint([](auto& r) { r.grid.clip_norm = 17; }));
  expect_in("grid.signed_scale", complaint([](auto& r) { r.grid.signed_scale = true; }));
  expect_in("grid.clip_weights", complaint([](auto& r) {
              r.grid.clip_weights = ClipWeights::kFactor;
              r.grid.clip_search = false;
            }));
  expect_in("grid.scale_bits", complaint([](auto& r) { r.grid.scale_bits = 25; }));
}

TEST(Rules, SuperBlocksAreThoseOfATypeAndWhole) {
  EXPECT_EQ(complaint(super_blocks([](auto&) {}), 8, {}, 512), "");
  EXPECT_EQ(complaint(super_blocks([](auto&) {}), 8, {}, 576),
            "grid.kind: super-blocks need a multiple of 256 input columns, not 576");
  EXPECT_EQ(complaint(super_blocks([](auto& r) { r.grid.bits = 7; })),
            "grid.bits: expected 2 to 6 with grid.kind = superblock, not 7");
  EXPECT_EQ(complaint(super_blocks([](auto& r) { r.grid.group_size = 64; })),
            "grid.group_size: this grid's groups are of 32 columns, not 64");
  EXPECT_EQ(complaint(super_blocks([](auto& r) { r.grid.symmetric = true; })),
            "grid.symmetric: expected false for this grid");
  expect_in("scale_bits", complaint(super_blocks([](auto& r) { r.grid.scale_bits = 8; })));
  expect_in("outliers.kind: expected none",
            complaint(super_blocks([](auto& r) { r.outliers.kind = OutlierKind::kSpqr; })));
  expect_in("order.static_groups", complaint(super_blocks([](auto& r) {
              r.order = {OrderKind::kActivation, /*static_groups=*/false};
            })));
  EXPECT_EQ(complaint(super_blocks([](auto& r) { r.order.kind = OrderKind::kActivation; })), "");
}

TEST(Rules, VectorsAreThoseOfACodebookInTheFilesOrder) {
  EXPECT_EQ(complaint(vectors([](auto&) {}), 8, {}, 256), "");
  EXPECT_EQ(complaint(vectors([](auto& r) { r.grid.bits = 2; })),
            "grid.bits: expected 3 with the codebook of IQ3_S, not 2");
  EXPECT_EQ(complaint(vectors([](auto& r) { r.grid.group_size = 16; })),
            "grid.group_size: this grid's groups are of 32 columns, not 16");
  EXPECT_EQ(complaint(vectors([](auto& r) { r.grid.symmetric = false; })),
            "grid.symmetric: expected true for this grid");
  expect_in("multiple of 256", complaint(vectors([](auto&) {}), 8, {}, 640));
  expect_in("order.kind: expected natural",
            complaint(vectors([](auto& r) { r.order.kind = OrderKind::kActivation; })));
}

TEST(Rules, ATrellisIsOfWholeTilesWithAScaleARow) {
  EXPECT_EQ(complaint(trellis([](auto&) {}), 32, {}, 576), "");
  for (const int bits : {1, 4})
    EXPECT_EQ(complaint(trellis([=](auto& r) { r.grid.bits = bits; }), 32, {}, 576), "");
  EXPECT_EQ(complaint(trellis([](auto& r) { r.grid.bits = 5; })),
            "grid.bits: expected 1 to 4 with grid.kind = trellis, not 5");
  EXPECT_EQ(complaint(trellis([](auto& r) { r.grid.state_bits = 17; })),
            "grid.state_bits: expected 8 to 16, not 17");
  expect_in("grid.group_size: expected 0",
            complaint(trellis([](auto& r) { r.grid.group_size = 64; })));
  expect_in("grid.symmetric: expected true",
            complaint(trellis([](auto& r) { r.grid.symmetric = false; })));
  expect_in("grid.clip_search: expected false",
            complaint(trellis([](auto& r) { r.grid.clip_search = true; })));
  EXPECT_EQ(complaint(trellis([](auto&) {}), 24, {}, 576),
            "grid.kind: trellis tiles need rows and columns in multiples of 16, not 24 by 576");
  expect_in("in multiples of 16", complaint(trellis([](auto&) {}), 32, {}, 172));
  expect_in("outliers.kind: expected none",
            complaint(trellis([](auto& r) { r.outliers.kind = OutlierKind::kSpqr; })));
  expect_in("order.kind: expected natural",
            complaint(trellis([](auto& r) { r.order.kind = OrderKind::kActivation; })));
  expect_in("objective.row_groups 4", complaint(trellis([](auto& r) {
              r.objective = {.kind = ObjectiveKind::kGuided, .row_groups = 4};
            })));
  expect_in("scale_bits", complaint(trellis([](auto& r) { r.grid.scale_bits = 8; })));
}

TEST(Rules, ABinaryGridHasOneBitAndNothingBesideIt) {
  EXPECT_EQ(complaint(binary([](auto&) {})), "");
  EXPECT_EQ(complaint(binary([](auto& r) { r.grid.bits = 2; })),
            "grid.bits: expected 1 with grid.kind = binary, not 2");
  EXPECT_EQ(complaint(binary([](auto& r) { r.order.kind = OrderKind::kActivation; })),
            "order.kind: expected natural with grid.kind = binary, whose blocks are runs of the "
            "file's columns");
  EXPECT_EQ(complaint(binary([](auto& r) { r.outliers.kind = OutlierKind::kSpqr; })),
            "outliers.kind: expected none with grid.kind = binary, which has its salient columns");
  EXPECT_EQ(complaint(binary([](auto& r) { r.grid.symmetric = true; })),
            "grid.symmetric: expected false with grid.kind = binary, which stores means");
  EXPECT_EQ(complaint(binary([](auto& r) { r.grid.scale_bits = 8; })),
            "grid.scale_bits: expected 11 (float16; -1 means the same) or 0 (float32) with "
            "grid.kind = binary, not 8");
  EXPECT_EQ(complaint(binary([](auto& r) {
              r.grid.mode = BinaryMode::kParity;
              r.target.alpha = 0.25;
            })),
            "grid.mode: parity copies a code that knows no target.alpha and target.alpha2; set "
            "both to 0");
  expect_in("target.auto = false", complaint(binary([](auto& r) {
              r.grid.mode = BinaryMode::kParity;
              r.target.automatic = true;
            })));
}

TEST(Rules, ABilevelGridHasNoClipSearchAndFloat16Numbers) {
  EXPECT_EQ(complaint(bilevel([](auto&) {})), "");
  expect_in("grid.qq_groupsize: expected a divisor of 16, not 3",
            complaint(bilevel([](auto& r) { r.grid.qq_groupsize = 3; })));
  expect_in("grid.qq_groupsize", complaint(bilevel([](auto& r) { r.grid.qq_groupsize = 0; }), 64));
  expect_in("grid.clip_search", complaint(bilevel([](auto& r) { r.grid.clip_search = true; })));
  expect_in("grid.scale_bits", complaint(bilevel([](auto& r) { r.grid.scale_bits = 8; })));
  expect_in("grid.qq_scale_bits", complaint(bilevel([](auto& r) { r.grid.qq_scale_bits = 9; })));
  expect_in("grid.qq_zero_bits", complaint(bilevel([](auto& r) { r.grid.qq_zero_bits = 0; })));
}

TEST(Rules, RunsOfRowsNeedHessiansOfTheirOwnAndWholeRunsOfAGrid) {
  const auto guided = [](const Change& change) {
    return [=](LinearRecipe& r) {
      r.objective.kind = ObjectiveKind::kGuided;
      r.objective.row_groups = 3;
      change(r);
    };
  };
  EXPECT_EQ(complaint(guided([](auto&) {}), 64), "");
  expect_in("whole runs", complaint(guided([](auto& r) { r.grid.kind = GridKind::kBilevel; }), 64));
  EXPECT_EQ(complaint(guided([](auto& r) { r.grid.kind = GridKind::kBilevel; }), 48), "");
  expect_in("guided", complaint(guided([](auto& r) { r.objective.kind = ObjectiveKind::kInput; })));
  expect_in("salient columns", complaint(guided(binary([](auto&) {}))));
  expect_in("expected 1 or more", complaint(guided([](auto& r) { r.objective.row_groups = 0; })));
}

TEST(Rules, OutliersHaveARateAndAThresholdThatCanBe) {
  for (const double rate : {1.0, -0.1, std::nan("")})
    expect_in("outliers.rate",
              complaint([&](auto& r) { r.outliers = {.kind = OutlierKind::kSpqr, .rate = rate}; }));
  expect_in("outliers.tau",
            complaint([](auto& r) { r.outliers = {.kind = OutlierKind::kSpqr, .tau = 0}; }));
  EXPECT_EQ(complaint([](auto& r) { r.grid.kind = GridKind::kSplit; }),
            "grid.kind: split needs outliers.kind = lasso, which says what the outliers are");
  EXPECT_EQ(complaint([](auto& r) { r.outliers = {.kind = OutlierKind::kLasso, .rate = 1.5}; }),
            "outliers.rate: expected a share from 0 to 1, not 1.5");
}

TEST(Rules, RowEnergiesAreRefusedWhereThereAreNoneOrNothingIsRanked) {
  EXPECT_EQ(complaint(ranked([](auto&) {})), "");
  expect_in("gradients",
            complaint(ranked([](auto& r) { r.objective.kind = ObjectiveKind::kInput; })));
  expect_in("kind = spqr",
            complaint(ranked([](auto& r) { r.outliers.kind = OutlierKind::kLasso; })));
}

TEST(Rules, TargetsThatContradictThemselvesAreRefused) {
  expect_in("same drift", of_target({.alpha = 0.25, .preshift = 0.5}));
  expect_in("auto chooses", of_target({.preshift = 0.5, .automatic = true}));
  expect_in("choose no target", of_target({.automatic = true, .parity = TargetParity::kOrg}));
  expect_in("both are 0", of_target({.parity = TargetParity::kOrg}));
  expect_in("target.alpha moves", of_target({.fit = TargetFit::kExpected}));
  EXPECT_EQ(of_target({.automatic = true, .fit = TargetFit::kExpected}), "");
  expect_in(
      "grid.kind = uniform",
      complaint(bilevel([](auto& r) { r.target = {.alpha = 1, .parity = TargetParity::kAllw}; })));
}

TEST(Rules, TargetsNeedAnObjectiveThatCompensates) {
  const auto with = [](ObjectiveKind kind, const TargetOptions& target) {
    return complaint([&](auto& r) {
      r.objective.kind = kind;
      r.target = target;
    });
  };
  expect_in("need an objective", with(ObjectiveKind::kNone, {.preshift = 0.5}));
  expect_in("nothing to aim at", with(ObjectiveKind::kDiagonal, {.alpha2 = 0.25}));
  expect_in("objective.kind = guided with target.auto",
            with(ObjectiveKind::kGuided, {.automatic = true}));
  expect_in("order.kind: activation", complaint([](auto& r) {
              r.objective.kind = ObjectiveKind::kNone;
              r.order.kind = OrderKind::kActivation;
            }));
}

TEST(Rules, OneShotGradientsSeeNoDrift) {
  const Change change = [](LinearRecipe& r) {
    r.objective.kind = ObjectiveKind::kOac;
    r.target.preshift = 0.5;
  };
  expect_in("one-shot", complaint(change));
  EXPECT_EQ(complaint(change, 0, {.schedule = ScheduleKind::kBlockWise}), "");
}

TEST(Rules, OnlyOacHasAGate) {
  expect_in("objective.kind = guided: only oac has a gate", complaint([](auto& r) {
              r.objective.kind = ObjectiveKind::kGuided;
              r.objective.gate = 1;
            }));
}

TEST(Rules, SequencesAreHeldOutOfEnough) {
  Recipe recipe;
  recipe.common.objective.kind = ObjectiveKind::kOac;
  recipe.common.objective.gate = 1;
  EXPECT_NO_THROW(require_sequences(recipe.resolve({"a"}), 5));
  expect_in("--sequences 4: objective.gate",
            message_of([&] { require_sequences(recipe.resolve({"a"}), 4); }));
  recipe.common.objective = {};
  recipe.common.target.automatic = true;
  expect_in("--sequences 1: target.auto",
            message_of([&] { require_sequences(recipe.resolve({"a"}), 1); }));
}

TEST(Rules, OnlineRotationNeedsARotation) {
  expect_in("expected rotation = quarot",
            message_of([] { require_model({.transform = {.online = true}}); }));
  expect_in("objective.first_token", message_of([] { require_model({.first_token = -1}); }));
  expect_in("objective.pool", message_of([] { require_model({.pool = -1}); }));
}

}  // namespace
}  // namespace halftone
