// The grid in super-blocks by itself: methods.md 4.3.
#include "quantize/grid/super_block.h"

#include "block_grids.h"
#include "quantize/grid/grid_entries.h"

namespace halftone::testing {
namespace {

struct Width {
  int bits;
  Levels levels = Levels::kEven;
};
void PrintTo(const Width& width, std::ostream* out) {
  *out << width.bits << " " << levels_shape(width.levels).word;
}

class SuperBlocksOf : public ::testing::TestWithParam<Width> {
 protected:
  static LinearRecipe recipe() {
    return to_nearest(super_blocks(GetParam().bits, GetParam().levels));
  }
};

class SuperBlocksNearest : public SuperBlocksOf {};

int codes_of(const Width& width) {
  if (width.levels == Levels::kTq1 || width.levels == Levels::kTq2) return 3;
  return width.levels == Levels::kMxfp4 || width.levels == Levels::kNvfp4 ? 15 : 1 << width.bits;
}

void expect_nearest(const LinearRecipe& recipe, const Width& width) {
  const Layer layer = random_layer(17, 256);
  const QuantizedLinear linear = LinearSolver({}, recipe, 1).quantize(layer.weight32()).quantized;
  const at::Tensor chosen = (dequantize(linear) - layer.weight32()).abs();
  for (int code = 0; code < codes_of(width); ++code) {
    QuantizedLinear other = linear;
    other.codes = at::full_like(linear.codes, code);
    const at::Tensor error = (dequantize(other) - layer.weight32()).abs();
    EXPECT_TRUE(chosen.le(error + 1e-7).all().item<bool>()) << code;
  }
}

TEST_P(SuperBlocksOf, NoCodeIsNearerThanTheOneChosen) {
  expect_nearest(recipe(), GetParam());
}
TEST_P(SuperBlocksNearest, NoCodeIsNearerThanTheOneChosen) {
  expect_nearest(recipe(), GetParam());
}

TEST_P(SuperBlocksOf, DegenerateWeightsAreFinite) {
  at::Tensor weight = at::zeros({16, 256}, at::kFloat);
  weight.select(0, 1).fill_(0.25);
  weight.select(0, 2).fill_(-0.25);
  weight[3][200] = 100;
  weight.select(0, 4).fill_(1e-12);
  const LinearOutcome outcome = LinearSolver({}, recipe(), 1).quantize(weight);
  const at::Tensor values = dequantize(outcome.quantized);
  EXPECT_TRUE(values.isfinite().all().item<bool>());
  EXPECT_TRUE(values.select(0, 0).eq(0).all().item<bool>());
  EXPECT_NEAR(values[1][0].item<double>(), 0.25, 1e-3);
  EXPECT_NEAR(values[2][0].item<double>(), -0.25, 1e-3);
  // 0 is no uneven level: the zeros beside this one pull at their scale
  const bool even = GetParam().levels == Levels::kEven;
  EXPECT_NEAR(values[3][200].item<double>(), 100, even ? 0.1 : 0.5);
  EXPECT_NE(outcome.fallback.find("too small for float16"), std::string::npos);
}

// Blocks of one group: what is beside a great weight is lost, and 0 may be no level.
class BlocksOfFewLevels : public SuperBlocksOf {};

TEST_P(BlocksOfFewLevels, DegenerateWeightsAreFinite) {
  at::Tensor weight = at::zeros({16, 256}, at::kFloat);
  weight.select(0, 1).fill_(0.25);
  weight.select(0, 2).fill_(-0.25);
  weight[3][200] = 1e6;
  weight.select(0, 4).fill_(1e-12);
  const at::Tensor values = dequantize(LinearSolver({}, recipe(), 1).quantize(weight).quantized);
  EXPECT_TRUE(values.isfinite().all().item<bool>());
  EXPECT_LE(values.select(0, 0).abs().max().item<double>(), 1e-4);
  // scales of four bits are that far apart
  const double apart = GetParam().levels == Levels::kNvfp4 ? 0.25 / 16 : 0;
  EXPECT_NEAR(values[1][0].item<double>(), 0.25, apart);
  EXPECT_NEAR(values[2][0].item<double>(), -0.25, apart);
  EXPECT_LE(values.select(0, 4).abs().max().item<double>(), 1e-4);
}

TEST_P(BlocksOfFewLevels, WhatIsNoCodeOrNoScaleOfTheTypeIsRefused) {
  const Layer layer = random_layer(16, 256);
  QuantizedLinear linear = LinearSolver({}, recipe(), 1).quantize(layer.weight32()).quantized;
  const auto error_of = [](const QuantizedLinear& spoilt) {
    return message_of([&] { grid_entry(GridKind::kSuperBlock).check(spoilt); });
  };
  EXPECT_NO_THROW(grid_entry(GridKind::kSuperBlock).check(linear));
  const Levels levels = GetParam().levels;
  if (levels != Levels::kQ1) {
    QuantizedLinear spoilt = linear;
    spoilt.codes = linear.codes.clone();
    spoilt.codes[3][5] = (1 << GetParam().bits) - 1;
    EXPECT_NE(error_of(spoilt).find("codes"), std::string::npos);
  }
  if (levels_shape(levels).step_bits == 16) return;
  QuantizedLinear spoilt = linear;
  spoilt.blocks->steps = linear.blocks->steps.clone();
  spoilt.blocks->steps[2][1] *= 1 + 0x1p-5;
  EXPECT_NE(error_of(spoilt).find("steps: expected"), std::string::npos) << error_of(spoilt);
}

TEST(SuperBlockGrid, SaysWhereWeightsAreBeyondTheScalesOfNvfp4) {
  const LinearSolver solver({}, to_nearest(super_blocks(4, Levels::kNvfp4)), 1);
  at::Tensor weight = at::full({16, 64}, 0.5, at::kFloat);
  EXPECT_EQ(solver.quantize(weight).fallback, "");
  weight[2][40] = 11;
  EXPECT_EQ(solver.quantize(weight).fallback,
            "1 of 64 groups have weights beyond 10.5, the greatest of NVFP4");
  weight[2][40] = 0.5;
  weight.select(0, 3).fill_(1e-5);
  EXPECT_NE(solver.quantize(weight).fallback.find("4 of 64 groups have weights too small"),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, BlocksOfFewLevels,
                         ::testing::Values(Width{2, Levels::kTq1}, Width{1, Levels::kQ1},
                                           Width{4, Levels::kMxfp4}, Width{4, Levels::kNvfp4}));
INSTANTIATE_TEST_SUITE_P(AllTypes, SuperBlocksNearest,
                         ::testing::Values(Width{2, Levels::kTq1}, Width{2, Levels::kTq2},
                                           Width{1, Levels::kQ1}, Width{4, Levels::kMxfp4},
                                           Width{4, Levels::kNvfp4}));
INSTANTIATE_TEST_SUITE_P(AllWidths, SuperBlocksOf,
                         ::testing::Values(Width{2}, Width{3}, Width{4}, Width{5}, Width{6},
                                           Width{4, Levels::kIq4Xs}, Width{4, Levels::kIq4Nl}));

}  // namespace
}  // namespace halftone::testing
