#include "model/layers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "model/family.h"
#include "model/row_access.h"

namespace halftone {
namespace {

constexpr double kFloat32Tolerance = 2e-6;   // of values near one
constexpr double kBFloat16Tolerance = 1e-2;  // relative, after a few roundings to 8 bits

constexpr AttentionOptions kSmall = {.heads = 4, .kv_heads = 2, .head_dim = 8};
constexpr RopeOptions kSmallRope = {.dim = 8};

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Attention by its definition: loops over heads and positions, in float64.
at::Tensor slow_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const AttentionOptions& options) {
  const int64_t length = q.size(1), d = options.head_dim;
  const RopeTable rope = make_rope_table({.dim = d}, length, at::kCPU, at::kDouble);
  at::Tensor out = at::zeros({1, length, options.heads * d}, at::kDouble);
  for (int64_t h = 0; h < options.heads; ++h) {
    const int64_t shared = h / (options.heads / options.kv_heads);
    const auto head = [&](const at::Tensor& x, int64_t index) {
      return x[0].to(at::kDouble).narrow(1, index * d, d);
    };
    const at::Tensor queries = apply_rope(head(q, h), rope),
                     keys = apply_rope(head(k, shared), rope);
    for (int64_t i = 0; i < length; ++i) {
      const int64_t first = options.window > 0 ? std::max<int64_t>(0, i - options.window + 1) : 0;
      const at::Tensor scores =
          keys.narrow(0, first, i + 1 - first).mv(queries[i]) / std::sqrt(double(d));
      const at::Tensor mixed =
          at::softmax(scores, 0).unsqueeze(0).mm(head(v, shared).narrow(0, first, i + 1 - first));
      out[0][i].narrow(0, h * d, d).copy_(mixed[0]);
    }
  }
  return out;
}

TEST(RmsNorm, GivesUnitMeanSquare) {
  const at::Tensor y = rms_norm(at::randn({3, 5, 64}) * 7, at::ones({64}), 1e-12);
  EXPECT_LT(largest_difference(y.square().mean(-1), at::ones({3, 5})), 1e-5);
}

TEST(LayerNorm, GivesMeanZeroAndVarianceOneTimesWeightPlusBias) {
  const at::Tensor x = at::randn({3, 5, 64}) * 7 + 2, weight = at::randn({64}),
                   bias = at::randn({64});
  const at::Tensor plain = (layer_norm(x, weight, bias, 1e-12) - bias) / weight;
  EXPECT_LT(plain.mean(-1).abs().max().item<double>(), 1e-4);
  EXPECT_LT(largest_difference(plain.square().mean(-1), at::ones({3, 5})), 1e-3);
}

TEST(Activations, AreTheFunctionsOfTheirNames) {
  const at::Tensor x = at::linspace(-5, 5, 101, at::kDouble);
  const at::Tensor exact = x * (1 + at::erf(x / std::sqrt(2.0))) / 2;
  const at::Tensor inner = std::sqrt(2 / M_PI) * (x + 0.044715 * x.pow(3));
  EXPECT_LT(largest_difference(activated(x, Activation::kGelu), exact), 1e-12);
  EXPECT_LT(largest_difference(activated(x, Activation::kGeluTanh), x * (1 + inner.tanh()) / 2),
            1e-12);
  EXPECT_LT(largest_difference(activated(x, Activation::kRelu), x.clamp_min(0)), 1e-12);
  EXPECT_LT(largest_difference(activated(x, Activation::kSilu), x * at::sigmoid(x)), 1e-12);
}

// Numbers that say whose they are: 100 for a query, 200 a key, 300 a value, and of which head.
TEST(QueryKeyValue, PartsAreTakenWhereTheirLayoutHasThem) {
  const AttentionOptions options = {.heads = 4, .kv_heads = 2, .head_dim = 3};
  const auto heads = [](const std::vector<double>& values) {
    return at::tensor(values, at::kFloat).repeat_interleave(3).repeat({1, 5, 1});
  };
  const QueryKeyValue whole = split_whole(heads({100, 101, 102, 103, 200, 201, 300, 301}), options);
  const QueryKeyValue groups =
      split_groups(heads({100, 101, 200, 300, 102, 103, 201, 301}), options);
  for (const QueryKeyValue& parts : {whole, groups}) {
    EXPECT_TRUE(at::equal(parts.q, heads({100, 101, 102, 103})));
    EXPECT_TRUE(at::equal(parts.k, heads({200, 201})));
    EXPECT_TRUE(at::equal(parts.v, heads({300, 301})));
    for (const at::Tensor& part : {parts.q, parts.k, parts.v}) EXPECT_TRUE(lies_in_rows(part));
  }
}

TEST(Rope, ANarrowTableLeavesTheRestOfEachHead) {
  const RopeTable table = make_rope_table({.dim = 4}, 16, at::kCPU, at::kDouble);
  const at::Tensor x = at::randn({1, 3, 16, 10}, at::kDouble), y = apply_rope(x, table);
  EXPECT_TRUE(at::equal(y.narrow(-1, 4, 6), x.narrow(-1, 4, 6)));
  EXPECT_TRUE(at::equal(y.narrow(-1, 0, 4), apply_rope(x.narrow(-1, 0, 4), table)));
  EXPECT_GT(largest_difference(y, x), 0.1);
}

TEST(Rope, PositionZeroIsUnchangedAndLengthsAreKept) {
  const RopeTable table = make_rope_table(kSmallRope, 16, at::kCPU, at::kDouble);
  const at::Tensor x = at::randn({1, 4, 16, 8}, at::kDouble), y = apply_rope(x, table);
  EXPECT_EQ(largest_difference(y.select(2, 0), x.select(2, 0)), 0);
  EXPECT_LT(largest_difference(y.square().sum(-1), x.square().sum(-1)), 1e-12);
}

TEST(Rope, LinearScalingStretchesPositions) {
  RopeOptions options = kSmallRope;
  const RopeTable plain = make_rope_table(options, 4, at::kCPU, at::kDouble);
  options.scaling.kind = RopeScaling::Kind::kLinear;
  options.scaling.factor = 2;
  const RopeTable scaled = make_rope_table(options, 8, at::kCPU, at::kDouble);
  EXPECT_LT(largest_difference(scaled.cos[6], plain.cos[3]), 1e-12);
}

TEST(Rope, Llama3ScalingKeepsFastTurnsAndSlowsSlowOnes) {
  RopeOptions options{.dim = 64, .theta = 500000};
  const RopeTable plain = make_rope_table(options, 2, at::kCPU, at::kDouble);
  options.scaling = {RopeScaling::Kind::kLlama3, 8, 1, 4, 8192};
  const RopeTable scaled = make_rope_table(options, 2, at::kCPU, at::kDouble);
  // pair 0 turns once in 6.28 positions (kept), pair 31 once in 2.1 million (8 times slower)
  EXPECT_EQ(scaled.cos[1][0].item<double>(), plain.cos[1][0].item<double>());
  EXPECT_NEAR(scaled.sin[1][31].item<double>() * 8, plain.sin[1][31].item<double>(), 1e-9);
}

// Values of transformers 5.24 (_compute_yarn_parameters).
TEST(Rope, YarnStretchesWhatTurnsSlowly) {
  RopeOptions options{.dim = 16};
  options.scaling.kind = RopeScaling::Kind::kYarn;
  options.scaling.factor = 8;
  options.scaling.original_context = 512;
  const std::vector<double> whole = {1,       0.2470529,    0.05625,  0.01087033,
                                     0.00125, 0.0003952847, 0.000125, 3.952847e-05};
  const std::vector<double> between = {1,       0.2989363,    0.06546508, 0.01151012,
                                       0.00125, 0.0003952847, 0.000125,   3.952847e-05};
  for (const bool truncated : {true, false}) {
    options.scaling.whole_pairs = truncated;
    const std::vector<double> found = rope_frequencies(options);
    const std::vector<double>& expected = truncated ? whole : between;
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-6 * expected[i]) << i;
  }
}

TEST(ClampedGate, BoundsGatesFromAboveAndUpsOnBothSides) {
  const GateClamp clamp{.slope = 2, .limit = 3};
  const auto value = [&](double gate, double up) {
    return clamped_gate(at::tensor({gate}, at::kDouble), at::tensor({up}, at::kDouble), clamp)
        .item<double>();
  };
  const auto gated = [](double gate) { return gate / (1 + std::exp(-2 * gate)); };
  EXPECT_NEAR(value(1, 0.5), gated(1) * 1.5, 1e-12);
  EXPECT_NEAR(value(5, 9), gated(3) * 4, 1e-12);
  EXPECT_NEAR(value(-5, -9), gated(-5) * -2, 1e-12);
}

TEST(Attention, EqualsItsDefinition) {
  const AttentionOptions options = kSmall;
  const at::Tensor q = at::randn({1, 12, 32}), k = at::randn({1, 12, 16}),
                   v = at::randn({1, 12, 16});
  const RopeTable rope = make_rope_table(kSmallRope, 12, at::kCPU, at::kFloat);
  const at::Tensor fast = attend(q, k, v, rope, options);
  EXPECT_LT(largest_difference(fast, slow_attention(q, k, v, options)), kFloat32Tolerance);
}

TEST(Attention, WithoutATableTurnsNothing) {
  const at::Tensor q = at::randn({1, 12, 32}), k = at::randn({1, 12, 16}),
                   v = at::randn({1, 12, 16});
  RopeTable still = make_rope_table(kSmallRope, 12, at::kCPU, at::kFloat);
  still = {at::ones_like(still.cos), at::zeros_like(still.sin)};
  EXPECT_LT(largest_difference(attend(q, k, v, {}, kSmall), attend(q, k, v, still, kSmall)),
            kFloat32Tolerance);
}

TEST(Attention, ASlidingWindowForgetsOlderPositions) {
  AttentionOptions options = kSmall;
  options.window = 3;
  const at::Tensor q = at::randn({1, 12, 32}), k = at::randn({1, 12, 16}),
                   v = at::randn({1, 12, 16});
  const RopeTable rope = make_rope_table(kSmallRope, 12, at::kCPU, at::kFloat);
  const at::Tensor fast = attend(q, k, v, rope, options);
  EXPECT_LT(largest_difference(fast, slow_attention(q, k, v, options)), kFloat32Tolerance);
}

// A row of trees: a trunk of 5 tokens with branches of 3, 0 and 4; a sequence of 6; a trunk of 1
// with branches of 7 and 2.
struct Tree {
  int64_t trunk;
  std::vector<int64_t> branches;
};
const std::vector<Tree> kTrees = {{5, {3, 0, 4}}, {6, {}}, {1, {7, 2}}};

TEST(Attention, InARowOfTreesEveryBranchIsASequenceByItself) {
  TokenTrees trees{{0}, {}, {}};
  std::vector<int64_t> branches, positions;
  std::vector<std::vector<int64_t>> sequences;  // the tokens of each in the row
  const auto add = [&](int64_t branch, int64_t first, int64_t count) {
    std::vector<int64_t> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int64_t>(branches.size()));
      branches.push_back(branch);
      positions.push_back(first + i);
    }
    return tokens;
  };
  for (const Tree& tree : kTrees) {
    const std::vector<int64_t> trunk = add(0, 0, tree.trunk);
    sequences.push_back(trunk);
    for (size_t i = 0; i < tree.branches.size(); ++i) {
      std::vector<int64_t> sequence = trunk;
      const auto more = add(static_cast<int64_t>(i) + 1, tree.trunk, tree.branches[i]);
      sequence.insert(sequence.end(), more.begin(), more.end());
      sequences.push_back(sequence);
    }
    trees.begins.push_back(static_cast<int64_t>(branches.size()));
  }
  trees.branches = at::tensor(branches, at::kLong);
  trees.positions = at::tensor(positions, at::kLong);
  const auto length = static_cast<int64_t>(branches.size());
  const at::Tensor q = at::randn({1, length, 32}), k = at::randn({1, length, 16}),
                   v = at::randn({1, length, 16});
  const RopeTable table = make_rope_table(kSmallRope, 16, at::kCPU, at::kFloat);
  const RopeTable rows = Positions{table}.at(trees.positions).rope;
  for (const int64_t window : {0, 3})
    for (const double cap : {0.0, 2.0}) {
      AttentionOptions options = kSmall;
      options.window = window;
      options.cap = cap;
      AttentionOptions laid_out = options;
      laid_out.trees = &trees;
      const at::Tensor together = attend(q, k, v, rows, laid_out);
      for (const std::vector<int64_t>& sequence : sequences) {
        const at::Tensor tokens = at::tensor(sequence, at::kLong);
        const auto of = [&](const at::Tensor& x) { return x.index_select(1, tokens); };
        const at::Tensor alone = attend(of(q), of(k), of(v), table, options);
        EXPECT_LT(largest_difference(of(together), alone), kFloat32Tolerance)
            << "window " << window << ", cap " << cap;
      }
    }
}

// As if each head had one more position, with this score and a value of zeros.
TEST(Attention, SinksTakeTheirShareOfTheSoftmax) {
  const at::Tensor q = at::randn({1, 9, 32}, at::kDouble), k = at::randn({1, 9, 16}, at::kDouble),
                   v = at::randn({1, 9, 16}, at::kDouble), sinks = at::randn({4}, at::kDouble);
  for (const int64_t window : {0, 3}) {
    AttentionOptions options = kSmall;
    options.window = window;
    options.sinks = &sinks;
    const at::Tensor found = attend(q, k, v, {}, options);
    for (int64_t head = 0; head < 4; ++head)
      for (int64_t at = 0; at < 9; ++at) {
        const int64_t first = window > 0 ? std::max<int64_t>(0, at - window + 1) : 0,
                      seen = at - first + 1;
        const auto part = [&](const at::Tensor& x) {
          return x[0].narrow(0, first, seen).narrow(1, head / 2 * 8, 8);
        };
        const at::Tensor query = q[0][at].narrow(0, head * 8, 8);
        const at::Tensor shares = at::exp(at::mv(part(k), query) / std::sqrt(8.0));
        const at::Tensor expected =
            at::mv(part(v).t(), shares) / (shares.sum() + at::exp(sinks[head]));
        EXPECT_LT(largest_difference(found[0][at].narrow(0, head * 8, 8), expected), 1e-12)
            << "window " << window << ", head " << head << ", position " << at;
      }
  }
}

// One pass over what lies in rows, separate operations over what does not.
TEST(Layers, FusedAndSeparateOperationsAgree) {
  at::manual_seed(3);
  const AttentionOptions options = kSmall;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double tolerance = dtype == at::kFloat ? 1e-6 : 1.0 / 128;
    const auto draw = [&](int64_t width) { return at::randn({2, 37, width}).to(dtype); };
    const at::Tensor q = draw(32), k = draw(16), v = draw(16), gate = draw(50), up = draw(50);
    const at::Tensor weight = at::randn({50}).to(dtype);
    const auto difference = [&](auto&& layer, const at::Tensor& x) {
      const at::Tensor scattered = x.transpose(0, 1).contiguous().transpose(0, 1);
      EXPECT_TRUE(lies_in_rows(x) && !lies_in_rows(scattered));
      const at::Tensor fused = layer(x), separate = layer(scattered);
      EXPECT_EQ(fused.scalar_type(), separate.scalar_type());
      return ((fused - separate).to(at::kDouble).abs().max() / fused.to(at::kDouble).abs().max())
          .item<double>();
    };
    EXPECT_LT(difference([&](const at::Tensor& x) { return rms_norm(x, weight, 1e-5); }, gate),
              tolerance);
    EXPECT_LT(difference([&](const at::Tensor& x) { return gated_silu(x, up); }, gate), tolerance);
    for (const int64_t dim : {8, 4}) {  // whole heads, half of each
      const RopeTable table = make_rope_table({.dim = dim}, 37, at::kCPU, dtype);
      EXPECT_LT(difference([&](const at::Tensor& x) { return attend(x, k, v, table, options); }, q),
                2 * tolerance);
    }
  }
}

// The gradients of sum(layer(inputs) * direction) at the inputs, in `type`.
std::vector<at::Tensor> gradients_of(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& layer,
    const std::vector<at::Tensor>& inputs, const at::Tensor& direction, at::ScalarType type) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs)
    leaves.push_back(input.to(type).clone().set_requires_grad(true));
  return torch::autograd::grad({layer(leaves)}, leaves, {direction.to(type)});
}

// Layers are fused in float32 and bfloat16, and separate operations in float64.
void expect_fused_gradients(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& layer,
                            std::vector<at::Tensor> inputs, at::Tensor direction) {
  for (at::Tensor& input : inputs) input = input.to(at::kBFloat16).to(at::kDouble);
  direction = direction.to(at::kBFloat16).to(at::kDouble);
  const auto expected = gradients_of(layer, inputs, direction, at::kDouble);
  for (const auto& [type, tolerance] :
       {std::pair{at::kFloat, kFloat32Tolerance}, {at::kBFloat16, kBFloat16Tolerance}}) {
    const auto found = gradients_of(layer, inputs, direction, type);
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].scalar_type(), type);
      EXPECT_LT(
          ((found[i].to(at::kDouble) - expected[i]).norm() / expected[i].norm()).item<double>(),
          tolerance);
    }
  }
}

TEST(RmsNorm, FusedGradientsEqualThoseOfSeparateOperations) {
  const at::Tensor weight = at::randn({24}).to(at::kBFloat16);
  const auto layer = [&](const std::vector<at::Tensor>& x) {
    return rms_norm(x[0], weight.to(x[0].scalar_type()), 1e-5);
  };
  expect_fused_gradients(layer, {at::randn({2, 5, 24})}, at::randn({2, 5, 24}));
  // a gradient that does not lie in rows
  const auto turned = [&](const std::vector<at::Tensor>& x) { return layer(x).transpose(0, 2); };
  expect_fused_gradients(turned, {at::randn({2, 5, 24})}, at::randn({24, 5, 2}));
}

TEST(GatedSilu, FusedGradientsEqualThoseOfSeparateOperations) {
  expect_fused_gradients([](const auto& x) { return gated_silu(x[0], x[1]); },
                         {at::randn({2, 5, 24}) * 4, at::randn({2, 5, 24})}, at::randn({2, 5, 24}));
}

// at::parallel_for is compiled into its caller, and without OpenMP it is a plain loop.
TEST(FusedLayers, RunOnAsManyThreadsAsLibtorchIsTold) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::set<std::thread::id> threads;
  std::mutex mutex;
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    const std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  at::set_num_threads(before);
  EXPECT_EQ(threads.size(), 2);
}

TEST(CausalAttention, FusedGradientsEqualThoseOfSeparateOperations) {
  for (const auto& [window, dim] : {std::pair<int64_t, int64_t>{0, 8}, {3, 8}, {0, 4}}) {
    AttentionOptions options = kSmall;
    options.window = window;
    const RopeOptions rope = {.dim = dim};
    const auto layer = [&](const std::vector<at::Tensor>& x) {
      const RopeTable table = make_rope_table(rope, 9, at::kCPU, x[0].scalar_type());
      return attend(x[0], x[1], x[2], table, options);
    };
    expect_fused_gradients(layer,
                           {at::randn({2, 9, 32}), at::randn({2, 9, 16}), at::randn({2, 9, 16})},
                           at::randn({2, 9, 32}));
  }
}

}  // namespace
}  // namespace halftone
