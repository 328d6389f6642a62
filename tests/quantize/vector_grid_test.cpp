// The vector grid in the one sweep: methods.md 4.7; methods.md 11, identity 10.
#include "block_grids.h"
#include "quantize/grid/vector.h"

namespace halftone::testing {
namespace {

class VectorsOf : public ::testing::TestWithParam<Codebook> {};

// The step of methods.md 7.3 written down: eight columns at once, E = E_raw inv(U_BB), and what the
// others get is E U.
at::Tensor jointly(const Layer& layer, const LinearRecipe& recipe, const QuantizedLinear& grid) {
  at::Tensor h = layer.hessian.clone();
  h.diagonal().add_(recipe.objective.damping * h.diagonal().mean());
  const at::Tensor reversed = at::linalg_cholesky(h.flip({0, 1})).flip({0, 1});  // h = r r^T, upper
  const at::Tensor upper = at::linalg_inv(reversed);                             // u^T u = inv(h)
  const VectorRule& rule = *find_vector_rule(codebook_shape(recipe.grid.codebook).type);
  const auto kernels = lane_kernels<double>().vector_grid;
  at::Tensor weights = layer.weight.clone(), codes = at::zeros_like(weights, at::kByte);
  const at::Tensor pivots = upper.diagonal();
  const double least = pivots.min().item<double>();
  for (int64_t first = 0; first < weights.size(1); first += kVectorColumns) {
    at::Tensor values = at::zeros({weights.size(0), kVectorColumns}, at::kDouble);
    for (int64_t row = 0; row < weights.size(0); ++row) {
      std::vector<double> tile(kVectorColumns * kLanes), importance, scales(kLanes);
      for (int64_t i = 0; i < kVectorColumns; ++i) {
        const double share = least / pivots[first + i].item<double>();
        importance.push_back(share * share);
        tile[i * kLanes] = weights[row][first + i].item<double>();
      }
      scales[0] = grid.scales[row][first / rule.columns].item<float>();
      uint8_t chosen[kVectorColumns * kLanes];
      kernels.choose(rule, tile.data(), importance.data(), scales.data(), chosen);
      for (int64_t i = 0; i < kVectorColumns; ++i) {
        const uint8_t code = chosen[i * kLanes];
        const double size = scales[0] * rule.magnitudes[code % kNegative];
        codes[row][first + i] = code;
        values[row][i] = code >= kNegative ? -size : size;
      }
    }
    const auto block = [&](const at::Tensor& x, int64_t at_column, int64_t count) {
      return x.narrow(0, first, kVectorColumns).narrow(1, at_column, count);
    };
    const at::Tensor raw = weights.narrow(1, first, kVectorColumns) - values;
    const at::Tensor error = raw.matmul(at::linalg_inv(block(upper, first, kVectorColumns)));
    const int64_t next = first + kVectorColumns, rest = weights.size(1) - next;
    if (rest > 0) weights.narrow(1, next, rest).sub_(error.matmul(block(upper, next, rest)));
  }
  return codes;
}

TEST_P(VectorsOf, EightColumnsAreRoundedAtOnceAndTheOthersToldExactly) {
  const Layer layer = random_layer(4, 512);
  LinearRecipe recipe = vectors(GetParam());
  recipe.order.static_groups = true;
  const QuantizedLinear found =
      LinearSolver(layer.statistics(), recipe, 1).quantize(layer.weight).quantized;
  EXPECT_TRUE(at::equal(found.codes, jointly(layer, recipe, found)));
}

TEST_P(VectorsOf, DegenerateWeightsAreFinite) {
  at::Tensor weight = at::zeros({16, 256}, at::kFloat);
  weight.select(0, 1).fill_(0.25);
  weight.select(0, 2).fill_(-0.25);
  weight[3][200] = 100;
  weight.select(0, 4).fill_(1e-12);
  const QuantizedLinear linear =
      LinearSolver({}, to_nearest(vectors(GetParam())), 1).quantize(weight).quantized;
  const at::Tensor values = dequantize(linear);
  EXPECT_TRUE(values.isfinite().all().item<bool>());
  EXPECT_TRUE(values.select(0, 0).eq(0).all().item<bool>());
  // no row of equal weights is looked for: scales are those of weights that differ
  EXPECT_NEAR(values[1].mean().item<double>(), 0.25, 0.05);
  EXPECT_NO_THROW(check_points(linear));
}

INSTANTIATE_TEST_SUITE_P(AllCodebooks, VectorsOf, ::testing::ValuesIn(kCodebooks));

}  // namespace
}  // namespace halftone::testing
