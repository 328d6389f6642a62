// The grid in super-blocks by itself: methods.md 4.3.
#include "quantize/grid/super_block.h"

#include "block_grids.h"

namespace halftone::testing {
namespace {

struct Width {
  int bits;
  Levels levels = Levels::kEven;
};
void PrintTo(const Width& width, std::ostream* out) {
  *out << width.bits << (width.levels == Levels::kEven ? "" : " uneven");
}

class SuperBlocksOf : public ::testing::TestWithParam<Width> {
 protected:
  static LinearRecipe recipe() {
    return to_nearest(super_blocks(GetParam().bits, GetParam().levels));
  }
};

TEST_P(SuperBlocksOf, NoCodeIsNearerThanTheOneChosen) {
  const Layer layer = random_layer(17, 256);
  const QuantizedLinear linear = LinearSolver({}, recipe(), 1).quantize(layer.weight32()).quantized;
  const at::Tensor chosen = (dequantize(linear) - layer.weight32()).abs();
  for (int code = 0; code < 1 << GetParam().bits; ++code) {
    QuantizedLinear other = linear;
    other.codes = at::full_like(linear.codes, code);
    const at::Tensor error = (dequantize(other) - layer.weight32()).abs();
    EXPECT_TRUE(chosen.le(error + 1e-7).all().item<bool>()) << code;
  }
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

INSTANTIATE_TEST_SUITE_P(AllWidths, SuperBlocksOf,
                         ::testing::Values(Width{2}, Width{3}, Width{4}, Width{5}, Width{6},
                                           Width{4, Levels::kIq4Xs}, Width{4, Levels::kIq4Nl}));

}  // namespace
}  // namespace halftone::testing
