// The binary grid against its plain reference; methods.md 11, identities 3, 10, 19, 23, 24, 25.
#include "quantize/grid/binary.h"

#include <fmt/format.h>

#include "layers.h"
#include "quantize/factor.h"
#include "quantize/tiles.h"
#include "reference_binary.h"

namespace halftone::testing {
namespace {

constexpr double kFloatLoss = 0.02;  // a sign that falls the other way moves all that follow

LinearRecipe binary_recipe(BinaryMode mode, int64_t group_size = 128) {
  LinearRecipe recipe;
  recipe.grid.kind = GridKind::kBinary;
  recipe.grid.bits = 1;
  recipe.grid.group_size = group_size;
  recipe.grid.mode = mode;
  return recipe;
}

// The reference's answer for a layer, columns without input being dead.
ReferenceBinary reference_of_binary(const Layer& layer, const GridOptions& grid) {
  const at::Tensor diagonal = layer.hessian.diagonal();
  const double mean = diagonal.sum().item<double>() / (diagonal != 0).sum().item<double>();
  at::Tensor hessian = layer.hessian.clone(), weight = layer.weight.clone();
  std::vector<bool> dead;
  for (int64_t j = 0; j < hessian.size(0); ++j) {
    dead.push_back(hessian[j][j].item<double>() == 0);
    hessian[j][j] += 0.01 * mean + (dead.back() ? mean : 0);
    if (dead.back()) weight.select(1, j).zero_();
  }
  return reference_binary(to_matrix(weight), to_matrix(hessian), dead, grid);
}

std::string name_of(const ::testing::TestParamInfo<BinaryMode>& mode) {
  if (mode.param == BinaryMode::kColumns) return "columns";
  return mode.param == BinaryMode::kJoint ? "joint" : "parity";
}

class BinaryModes : public ::testing::TestWithParam<BinaryMode> {};
INSTANTIATE_TEST_SUITE_P(All, BinaryModes,
                         ::testing::Values(BinaryMode::kColumns, BinaryMode::kJoint,
                                           BinaryMode::kParity),
                         name_of);

void expect_reference(const Layer& layer, const LinearRecipe& recipe) {
  const ReferenceBinary expected = reference_of_binary(layer, recipe.grid);
  const LinearOutcome outcome = quantize(layer, recipe);
  ASSERT_EQ(outcome.fallback, "");
  EXPECT_EQ(count_differing(outcome.quantized.codes, expected.codes), 0);
  const at::Tensor weights = dequantize(outcome.quantized).to(at::kDouble);
  for (int64_t i = 0; i < weights.size(0); ++i)
    for (int64_t j = 0; j < weights.size(1); ++j)
      ASSERT_EQ(weights[i][j].item<double>(), expected.weights(i, j)) << i << ", " << j;
}

TEST_P(BinaryModes, CodesAndValuesAreThoseOfThePlainReferenceOnARandomLayer) {
  expect_reference(random_layer(21, 172), binary_recipe(GetParam()));
}

TEST_P(BinaryModes, CodesAndValuesAreThoseOfThePlainReferenceOnARealLayer) {
  expect_reference(real_layer(), binary_recipe(GetParam()));
}

TEST_P(BinaryModes, AnyWidthOfBlocksIsThatOfThePlainReference) {
  // 110 = 6 x 16 + 14 = 2 x 49 + 12 = 99 + 11: also blocks of fewer than 50 columns
  for (const int64_t group_size : {16, 49, 99, 0}) {
    LinearRecipe recipe = binary_recipe(GetParam(), group_size);
    const Layer layer = random_layer(18, 110, static_cast<uint64_t>(group_size) + 5);
    GridOptions grid = recipe.grid;
    grid.group_size = group_size == 0 ? 110 : group_size;
    const ReferenceBinary expected = reference_of_binary(layer, grid);
    EXPECT_EQ(count_differing(quantize(layer, recipe).quantized.codes, expected.codes), 0)
        << group_size;
  }
}

TEST_P(BinaryModes, OneRowAndOneColumnAreQuantized) {
  for (const auto& [out, in] : {std::pair{1, 1}, {1, 2}, {3, 1}, {1, 200}}) {
    const Layer layer = random_layer(out, in, 11);
    const LinearOutcome outcome = quantize(layer, binary_recipe(GetParam()));
    EXPECT_TRUE(dequantize(outcome.quantized).isfinite().all().item<bool>());
    const ReferenceBinary expected = reference_of_binary(layer, binary_recipe(GetParam()).grid);
    EXPECT_EQ(count_differing(outcome.quantized.codes, expected.codes), 0) << out << " x " << in;
  }
}

TEST_P(BinaryModes, ReportedLossIsTheDampedLossOfTheStoredWeights) {
  const Layer layer = real_layer();
  const LinearOutcome outcome = quantize(layer, binary_recipe(GetParam()));
  EXPECT_NEAR(outcome.loss / damped_loss(layer, dequantize(outcome.quantized), 0.01), 1, 1e-6);
}

TEST_P(BinaryModes, Float32HasTheSameLoss) {
  const Layer layer = real_layer();
  const LinearRecipe recipe = binary_recipe(GetParam());
  EXPECT_NEAR(quantize32(layer, recipe).loss / quantize(layer, recipe).loss, 1, kFloatLoss);
}

TEST_P(BinaryModes, MeansAndScalesAreFloat16ExactAndCodesTwoBits) {
  const QuantizedLinear linear = quantize(real_layer(), binary_recipe(GetParam())).quantized;
  ASSERT_TRUE(linear.binary.has_value());
  for (const at::Tensor& numbers : {linear.binary->means, linear.binary->scales}) {
    EXPECT_EQ(numbers.sizes(), (std::vector<int64_t>{64, 2, 4}));
    EXPECT_TRUE(numbers.to(at::kHalf).to(at::kFloat).equal(numbers));
  }
  EXPECT_TRUE(linear.binary->scales.ge(0).all().item<bool>());
  EXPECT_EQ(linear.bits, 2);
  EXPECT_LT(linear.codes.max().item<int>(), 4);
  const double salient = linear.binary->salient.sum().item<double>() / 172;
  EXPECT_NEAR(bits_per_weight(linear), 1 + salient, 1e-12);
}

// Identity 25.
TEST_P(BinaryModes, AnyNumberOfThreadsGivesTheSameCodes) {
  const Layer layer = random_layer(70, 172, 6);
  const LinearRecipe recipe = binary_recipe(GetParam());
  const QuantizedLinear expected = quantize(layer, recipe, 1).quantized;
  const QuantizedLinear expected32 = quantize32(layer, recipe, 1).quantized;
  for (const int threads : {2, 5}) {
    EXPECT_TRUE(quantize(layer, recipe, threads).quantized.codes.equal(expected.codes));
    const QuantizedLinear found = quantize32(layer, recipe, threads).quantized;
    EXPECT_TRUE(found.codes.equal(expected32.codes));
    EXPECT_TRUE(found.binary->means.equal(expected32.binary->means));
  }
}

// Identity 3, second half.
TEST_P(BinaryModes, PowersOfTwoOfTheHessianChangeNoBitAlsoWithDeadColumns) {
  Layer layer = random_layer(20, 172, 4);
  for (const int64_t dead : {0, 7, 171}) {
    layer.hessian.select(0, dead).zero_();
    layer.hessian.select(1, dead).zero_();
  }
  const auto codes = [&](double factor) {
    return LinearSolver({layer.hessian * factor, 1}, binary_recipe(GetParam()), 2)
        .quantize(layer.weight)
        .quantized.codes;
  };
  const at::Tensor expected = codes(1);
  for (const double factor : {0.5, 2.0, 4096.0, 0x1p-31})
    EXPECT_TRUE(codes(factor).equal(expected)) << factor;
}

// Identity 19.
TEST_P(BinaryModes, DeadColumnsAreZeroWhateverTheyHeld) {
  Layer layer = random_layer(20, 140, 9);
  for (const int64_t dead : {3, 127, 128, 139}) {
    layer.hessian.select(0, dead).zero_();
    layer.hessian.select(1, dead).zero_();
  }
  expect_reference(layer, binary_recipe(GetParam()));
  const QuantizedLinear linear = quantize(layer, binary_recipe(GetParam())).quantized;
  EXPECT_TRUE(linear.dead_columns.equal(at::tensor({3, 127, 128, 139}, at::kInt)));
  EXPECT_EQ(
      dequantize(linear).index_select(1, at::tensor({3, 127, 128, 139})).abs().max().item<float>(),
      0);
  layer.weight.select(1, 3).fill_(100);
  EXPECT_TRUE(
      dequantize(quantize(layer, binary_recipe(GetParam())).quantized).equal(dequantize(linear)));
}

TEST(Binary, DeadColumnsTakeNoPartInWhatTheOthersBecome) {
  const Layer whole = random_layer(20, 60, 12);
  Layer padded{at::cat({whole.weight, at::ones({20, 4}, at::kDouble)}, 1),
               at::zeros({64, 64}, at::kDouble)};
  padded.hessian.narrow(0, 0, 60).narrow(1, 0, 60).copy_(whole.hessian);
  for (const BinaryMode mode : {BinaryMode::kColumns, BinaryMode::kJoint}) {
    const at::Tensor expected = dequantize(quantize(whole, binary_recipe(mode)).quantized);
    const at::Tensor found = dequantize(quantize(padded, binary_recipe(mode)).quantized);
    EXPECT_TRUE(found.narrow(1, 0, 60).equal(expected));
  }
}

// Identity 23.
TEST_P(BinaryModes, DegenerateGroupsStayFiniteAndKeepTheirSigns) {
  Layer layer = random_layer(6, 140, 15);
  layer.weight[0].fill_(5.0);
  layer.weight[1].zero_();
  layer.weight[2].zero_()[17] = 30000;
  layer.weight[3].fill_(-0.25).narrow(0, 0, 70).fill_(0.25);
  layer.weight[4].fill_(-1e-9);
  layer.weight[5].zero_()[3] = 1e6;  // beyond float16
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const LinearStatistics statistics{at::eye(140, type), 1};
    const QuantizedLinear linear = LinearSolver(statistics, binary_recipe(GetParam()), 1)
                                       .quantize(layer.weight.to(type))
                                       .quantized;
    const at::Tensor weights = dequantize(linear);
    EXPECT_TRUE(weights.isfinite().all().item<bool>());
    EXPECT_TRUE(weights[0].eq(5.0).all().item<bool>());
    EXPECT_TRUE(weights[1].eq(0.0).all().item<bool>());
    EXPECT_GT(weights[2][17].item<float>(), 0);
    EXPECT_TRUE(weights[3].sign().equal(layer.weight[3].to(at::kFloat).sign()));
    EXPECT_LE(weights[4].max().item<float>(), 0);
    EXPECT_GT(weights[5][3].item<float>(), 0);
  }
}

TEST_P(BinaryModes, WithoutAnObjectiveEveryColumnCountsTheSame) {
  const Layer layer = random_layer(20, 172, 8);
  LinearRecipe plain = binary_recipe(GetParam());
  plain.objective.kind = ObjectiveKind::kNone;
  const at::Tensor found = LinearSolver({}, plain, 2).quantize(layer.weight32()).quantized.codes;
  const LinearStatistics identity{at::eye(172, at::kFloat), 1};
  EXPECT_TRUE(LinearSolver(identity, binary_recipe(GetParam()), 2)
                  .quantize(layer.weight32())
                  .quantized.codes.equal(found));
}

TEST(Binary, OursLosesLessThanTheBlockAtOnceAndThatLessThanThePublishedCode) {
  for (const Layer& layer : {real_layer(), random_layer(48, 300, 3)}) {
    const auto loss = [&](BinaryMode mode) { return quantize(layer, binary_recipe(mode)).loss; };
    EXPECT_LT(loss(BinaryMode::kColumns), loss(BinaryMode::kJoint));
    EXPECT_LT(loss(BinaryMode::kJoint), loss(BinaryMode::kParity));
  }
}

// A block as the search sees it: weights (columns, rows) padded to 16 rows, and 1 / c^2.
struct SearchCase {
  at::Tensor weights;
  std::vector<double> importance;
  BinaryBlock<double> block(int64_t out) const {
    return {weights.const_data_ptr<double>(), weights.size(0), weights.size(1), out, importance, 2};
  }
};

SearchCase search_case(const at::Tensor& weight, uint64_t seed) {
  std::vector<int64_t> columns(static_cast<size_t>(weight.size(1)));
  std::iota(columns.begin(), columns.end(), 0);
  const at::Tensor importance = at::exp(normal({weight.size(1)}, seed));
  const double* numbers = importance.const_data_ptr<double>();
  return {to_sweep_layout<double>(weight.contiguous(), columns, 1),
          {numbers, numbers + weight.size(1)}};
}

BlockProblem problem_of(const at::Tensor& weight, const SearchCase& search) {
  BlockProblem problem{to_matrix(weight), {}, std::vector<bool>(search.importance.size())};
  for (const double value : search.importance) problem.pivots.push_back(1 / std::sqrt(value));
  return problem;
}

// Identity 24, second half; heavy tails, where the published code's choice is far off.
TEST(BinarySearch, NeverLosesMoreThanThePublishedStructureUnderTheSameLoss) {
  const BinaryKernels<double> kernels = lane_kernels<double>().binary;
  int strictly = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const int64_t columns = 2 + static_cast<int64_t>(seed) * 3;
    const at::Tensor weight = normal({16, columns}, seed).pow(seed % 3 == 0 ? 3 : 1);
    const SearchCase search = search_case(weight, seed + 100);
    const auto loss = [&](const BinaryStructure<double>& structure) {
      return fit_structure<double>(search.block(16), structure, search.importance, kernels).loss;
    };
    const double ours = loss(search_on_weights(search.block(16), kernels));
    const double published = loss(search_on_metric(search.block(16), kernels));
    EXPECT_LE(ours, published) << seed;
    strictly += ours < published;
  }
  EXPECT_GT(strictly, 20);
}

TEST(BinarySearch, StructureAndLossAreThoseOfThePlainReference) {
  const BinaryKernels<double> kernels = lane_kernels<double>().binary;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const at::Tensor weight = normal({5 + static_cast<int64_t>(seed), 64}, seed);
    const SearchCase search = search_case(weight, seed + 50);
    const auto block = search.block(weight.size(0));
    const BlockProblem problem = problem_of(weight, search);
    for (const bool on_metric : {false, true}) {
      const Structure expected = on_metric ? search_on_metric(problem) : search_on_weights(problem);
      const BinaryStructure<double> found =
          on_metric ? search_on_metric(block, kernels) : search_on_weights(block, kernels);
      for (size_t j = 0; j < 64; ++j) EXPECT_EQ(found.salient[j] != 0, expected.salient[j]) << seed;
      EXPECT_EQ(found.on_metric, expected.on_metric);
      EXPECT_NEAR(found.break_point / expected.point, 1, 1e-12);
      const double loss = structure_loss(problem, expected);
      EXPECT_NEAR(fit_structure<double>(block, found, search.importance, kernels).loss / loss, 1,
                  1e-12);
    }
  }
}

// Every subset of columns as salient ones and every cut of the magnitudes: the search cannot beat
// the best of them, and its own choice is one of them.
TEST(BinarySearch, LiesBetweenTheBestOfAllStructuresAndTheBestOfItsCandidates) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const at::Tensor weight = normal({3, 7}, seed);
    const SearchCase search = search_case(weight, seed + 70);
    const BlockProblem problem = problem_of(weight, search);
    std::vector<double> cuts = problem.weights.values;
    double best = INFINITY;
    for (int subset = 0; subset < 128; ++subset)
      for (const double cut : cuts) {
        Structure structure{std::vector<bool>(7), std::abs(cut), false};
        for (int j = 0; j < 7; ++j) structure.salient[j] = (subset >> j) & 1;
        best = std::min(best, structure_loss(problem, structure));
      }
    const BinaryKernels<double> kernels = lane_kernels<double>().binary;
    const auto block = search.block(3);
    const double found =
        fit_structure<double>(block, search_on_weights(block, kernels), search.importance, kernels)
            .loss;
    EXPECT_GE(found, best * (1 - 1e-12));
    EXPECT_NEAR(found / structure_loss(problem, search_on_weights(problem)), 1, 1e-12);
  }
}

// Identity 10, for the first and for a middle block.
TEST(BlockJoint, CorrectionAndCostOfABlockAreThoseOfTheRemainingHessian) {
  const int64_t in = 24, block = 6;
  const Layer layer = random_layer(4, in, 31);
  std::vector<int64_t> columns(in);
  std::iota(columns.begin(), columns.end(), 0);
  const HessianDiagonal diagonal = diagonal_of(layer.hessian, DampingReference::kMean);
  const at::Tensor upper =
      factor_inverse(layer.hessian, diagonal, columns, 0.01, at::kDouble).upper;
  const at::Tensor damped = (layer.hessian + 0.01 * diagonal.reference * at::eye(in, at::kDouble)) *
                            diagonal.normalizer();
  for (const int64_t begin : {int64_t{0}, block}) {
    const int64_t end = begin + block, rest = in - end;
    const at::Tensor error = normal({4, block}, 32);
    const auto part = [](const at::Tensor& of, int64_t i, int64_t m, int64_t j, int64_t n) {
      return of.narrow(0, i, m).narrow(1, j, n);
    };
    const at::Tensor inverse = at::linalg_inv(part(upper, begin, block, begin, block));
    const at::Tensor correction =
        -error.matmul(inverse).matmul(part(upper, begin, block, end, rest));
    const at::Tensor h_rest = part(damped, end, rest, end, rest);
    const at::Tensor coupling = part(damped, begin, block, end, rest);
    const at::Tensor exact = error.matmul(coupling).matmul(at::linalg_inv(h_rest));
    EXPECT_LT((correction - exact).abs().max().item<double>(),
              1e-10 * exact.abs().max().item<double>() + 1e-12);
    // the least of (e, r) H (e, r)^T over what the rest may become
    const at::Tensor whole = at::cat({-error, correction}, 1);
    const at::Tensor remaining = part(damped, begin, in - begin, begin, in - begin);
    const double least = whole.matmul(remaining).mul(whole).sum().item<double>();
    EXPECT_NEAR(error.matmul(inverse).square().sum().item<double>() / least, 1, 1e-10);
    // one by one with frozen errors of the same block
    at::Tensor free = at::zeros({4, in}, at::kDouble), target = error;
    for (int64_t j = 0; j < block; ++j) {
      const at::Tensor e =
          (target.select(1, j) + free.select(1, begin + j)) / upper[begin + j][begin + j];
      free -= e.unsqueeze(1) * upper[begin + j].unsqueeze(0);
    }
    EXPECT_LT((free.narrow(1, end, rest) - exact).abs().max().item<double>(), 1e-10);
  }
}

struct GoldenCase {
  std::string name;
  BinaryMode mode;
};

// Identity 24, first half: W and H of stories260K block 3 down_proj, and what a slow reference that
// is bit-identical to the published code makes of them (float32, nothing rounded).
TEST(GoldenBinary, ParityIsThePublishedCode) {
  HALFTONE_REQUIRE_SHARED("golden/methods/outliers.safetensors");
  const auto golden = read_safetensors(shared_data("golden/methods/outliers.safetensors"));
  for (const std::string suffix : {"", "_oac"}) {
    const Layer layer{golden.at("W").to(at::kDouble),
                      golden.at(suffix.empty() ? "H" : "Hoac").to(at::kDouble)};
    LinearRecipe recipe = binary_recipe(BinaryMode::kParity);
    recipe.grid.scale_bits = 0;
    const at::Tensor expected = golden.at("What/billm_parity" + suffix);
    const at::Tensor regions = golden.at("mask/billm_parity" + suffix);
    const ReferenceBinary slow = reference_of_binary(layer, recipe.grid);
    EXPECT_EQ(count_differing(regions.to(at::kByte), slow.regions), 0);
    for (const bool single : {false, true}) {
      const QuantizedLinear found =
          (single ? quantize32(layer, recipe) : quantize(layer, recipe)).quantized;
      EXPECT_EQ(count_differing(found.codes, slow.codes), 0);
      EXPECT_TRUE(at::allclose(dequantize(found), expected, 1e-5, 1e-6));
    }
  }
}

// Six linears of stories260K block 2 with their input Hessians over 8 windows.
TEST_P(BinaryModes, RealLinearsGetTheCodesOfThePlainReference) {
  HALFTONE_REQUIRE_SHARED("golden/forward/stories260K_block2_grad.safetensors");
  const auto statistics =
      read_safetensors(shared_data("golden/forward/stories260K_block2_grad.safetensors"));
  const auto model = read_safetensors(shared_data("models/stories260K/hf/model.safetensors"));
  for (const std::string name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                 "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj"}) {
    SCOPED_TRACE(name);
    expect_reference({model.at("model.layers.2." + name + ".weight").to(at::kDouble),
                      statistics.at("XtX." + name).to(at::kDouble)},
                     binary_recipe(GetParam()));
  }
}

TEST_P(BinaryModes, ASmolLm2LayerGetsTheCodesOfThePlainReference) {
  expect_reference(smollm2_layer(), binary_recipe(GetParam()));
}

TEST(GoldenBinary, OursLosesNoMoreThanTheSlowReferenceAtNoMoreBits) {
  HALFTONE_REQUIRE_SHARED("golden/methods/outliers.safetensors");
  const auto golden = read_safetensors(shared_data("golden/methods/outliers.safetensors"));
  const Layer layer{golden.at("W").to(at::kDouble), golden.at("H").to(at::kDouble)};
  for (const GoldenCase& wanted : {GoldenCase{"billm_ours_seq", BinaryMode::kColumns},
                                   {"billm_ours_joint", BinaryMode::kJoint}}) {
    for (const int scale_bits : {0, -1}) {
      LinearRecipe recipe = binary_recipe(wanted.mode);
      recipe.grid.scale_bits = scale_bits;
      const QuantizedLinear found = quantize(layer, recipe).quantized;
      const double limit = damped_loss(layer, golden.at("What/" + wanted.name), 0);
      EXPECT_LE(damped_loss(layer, dequantize(found), 0), limit * 1.001) << wanted.name;
      const at::Tensor salient = golden.at("mask/" + wanted.name).eq(3).to(at::kDouble).mean();
      EXPECT_LE(bits_per_weight(found), 1 + salient.item<double>() + 1e-9) << wanted.name;
    }
  }
}

}  // namespace
}  // namespace halftone::testing
