// Every family's forward pass against transformers' values of its zoo model, and its gradients
// against finite differences. A family is a row of support/zoo.h.
#include "support/zoo.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "checkpoint/checkpoint.h"
#include "model/model.h"

namespace halftone {
namespace {

using ::halftone::testing::zoo_models;
using ::halftone::testing::zoo_name;
using ::halftone::testing::ZooModel;

constexpr double kTolerance = 1e-4;            // of a tensor's largest magnitude, float32
constexpr double kDifferenceTolerance = 1e-6;  // relative, of a slope in float64
constexpr double kGradientTolerance = 1e-4;    // relative Frobenius error, float32 against float64

class GoldenZoo : public ::testing::TestWithParam<ZooModel> {
 protected:
  void SetUp() override { HALFTONE_REQUIRE_SHARED("golden/zoo"); }
};

Model open(const ZooModel& zoo) {
  return Model(std::make_shared<const Checkpoint>(zoo.folder()));
}

// A model's hidden states and logits of one window of tokens.
struct Outputs {
  at::Tensor embedding, block0, last, logits;  // (length, width)
};

Outputs run(const Model& model, const at::Tensor& ids, const Execution& execution) {
  const at::NoGradGuard no_grad;
  const Positions positions = model.positions(ids.size(0), execution);
  BlockState state{model.embed(ids.unsqueeze(0), execution)};
  Outputs result{state.hidden[0], {}, {}, {}};
  for (int64_t i = 0; i < model.config().layers; ++i) {
    model.run_block(model.load_block(i, execution, positions), state);
    if (i == 0) result.block0 = state.hidden[0];
  }
  result.last = state.hidden[0];
  result.logits = model.logits(model.load_head(execution), state.hidden)[0];
  return result;
}

double largest_relative_difference(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual - expected).abs().max() / expected.abs().max()).item<double>();
}

TEST_P(GoldenZoo, HiddenStatesAndLogitsEqualTransformers) {
  const Model model = open(GetParam());
  const SafetensorsFile golden(GetParam().golden());
  for (const std::string window : {"w96", "w200"}) {
    const auto value = [&](const std::string& name) {
      return golden.view(*golden.find(window + "." + name));
    };
    const Outputs found = run(model, value("ids"), {at::kCPU, at::kFloat, 1});
    const at::Tensor log_sums = at::logsumexp(found.logits.to(at::kDouble), {-1});
    EXPECT_LT(largest_relative_difference(log_sums, value("lse")), kTolerance) << window;
    for (const auto& [name, whole] : {std::pair{"hidden.embedding", found.embedding},
                                      {"hidden.block0", found.block0},
                                      {"hidden.last", found.last},
                                      {"logits", found.logits}}) {
      const at::Tensor expected = value(name);  // the last rows and the first columns
      const int64_t rows = expected.size(0);
      const at::Tensor part =
          whole.narrow(0, whole.size(0) - rows, rows).narrow(1, 0, expected.size(1));
      EXPECT_LT(largest_relative_difference(part, expected), kTolerance) << window << " " << name;
    }
  }
}

// All blocks and the head, as a function of what enters the first block.
struct Tail {
  explicit Tail(const ZooModel& zoo, const at::Tensor& ids, at::ScalarType dtype)
      : model(open(zoo)),
        execution{at::kCPU, dtype, 1},
        state(run(model, ids, execution).embedding) {
    positions = model.positions(ids.size(0), execution);
    for (int64_t i = 0; i < model.config().layers; ++i)
      blocks.push_back(model.load_block(i, execution, positions));
    head = model.load_head(execution);
  }
  // sum(logits * direction)   x: (length, hidden), what enters the first block
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& direction) const {
    BlockState at_block{x.unsqueeze(0)};
    for (const Block& block : blocks) model.run_block(block, at_block);
    return (model.logits(head, at_block.hidden)[0] * direction).sum();
  }

  Model model;
  Execution execution;
  at::Tensor state;  // (length, hidden)
  Positions positions;
  std::vector<Block> blocks;
  Head head;
};

TEST_P(GoldenZoo, GradientsEqualFiniteDifferences) {
  const SafetensorsFile golden(GetParam().golden());
  const at::Tensor ids = golden.view(*golden.find("w96.ids"));
  const Tail exact(GetParam(), ids, at::kDouble), narrow(GetParam(), ids, at::kFloat);
  const at::Tensor direction = at::randn({ids.size(0), exact.model.config().vocab}, at::kDouble);
  const at::Tensor step = at::randn_like(exact.state) * exact.state.abs().mean();

  const auto gradient_of = [&](const Tail& tail) {
    const at::Tensor x = tail.state.clone().set_requires_grad(true);
    return torch::autograd::grad({tail(x, direction.to(x.scalar_type()))}, {x})[0];
  };
  const at::Tensor gradient = gradient_of(exact);
  const auto value_at = [&](double t) {
    const at::NoGradGuard no_grad;
    return exact(exact.state + t * step, direction).item<double>();
  };
  constexpr double kStep = 1e-8;  // few hidden units change sign, where a ReLU has a corner
  const double slope = (value_at(kStep) - value_at(-kStep)) / (2 * kStep);
  const double size = (gradient.norm() * step.norm()).item<double>() /
                      std::sqrt(static_cast<double>(gradient.numel()));
  EXPECT_NEAR((gradient * step).sum().item<double>(), slope, kDifferenceTolerance * size);
  // the fused layers' own backward
  EXPECT_LT(
      ((gradient_of(narrow).to(at::kDouble) - gradient).norm() / gradient.norm()).item<double>(),
      kGradientTolerance);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenZoo, ::testing::ValuesIn(zoo_models()), zoo_name);

}  // namespace
}  // namespace halftone
