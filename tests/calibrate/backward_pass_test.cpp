#include "calibrate/backward_pass.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>

#include "calibrate/demo_model.h"
#include "calibrate/output_hessian.h"
#include "checkpoint/checkpoint.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::open_demo;
using ::halftone::testing::relative_error;
using ::halftone::testing::shared_data;
using ::halftone::testing::some_ids;

constexpr double kGoldenTolerance = 1e-4;   // relative Frobenius error
constexpr double kRounding = 1e-5;          // float32 sums in another order
constexpr double kBFloat16Tolerance = 0.1;  // 8 bits, through two blocks and back, squared
const Execution kFloat32{at::kCPU, at::kFloat, 2};

// Keeps G of every sequence and linear, in float64.
class GradientKeeper final : public GradientObserver {
 public:
  void enter(const Block& block) override { block_ = block.index; }
  void add(const std::vector<LinearGradient>& linears, const Batch& batch) override {
    for (const LinearGradient& linear : linears)
      for (int64_t i = 0; i < linear.delta.size(0); ++i) {
        const at::Tensor delta = linear.delta[i].to(at::kDouble) / kLossScale;
        gradients[{block_, linear.relative, batch.first + i}] =
            delta.t().mm(linear.input[i].to(at::kDouble));
      }
  }
  void leave(const Block&, int64_t) override {}

  std::map<std::tuple<int64_t, std::string, int64_t>, at::Tensor> gradients;  // (out, in)

 private:
  int64_t block_ = -1;
};

struct Gradients {
  GradientKeeper keeper;
  at::Tensor losses;
};

Gradients run_pass(const Model& model, const at::Tensor& ids, int64_t per_batch,
                   const BackwardOptions& options, int64_t first = 0, int64_t memory = 1 << 30,
                   at::ScalarType storage = at::kFloat) {
  Gradients run;
  Sequences sequences(ids, per_batch * ids.size(1));
  const Positions positions = model.positions(ids.size(1), kFloat32);
  TensorStore store(memory, std::filesystem::temp_directory_path());
  BackwardPass pass(model, sequences, kFloat32, positions, store);
  pass.run(embedded(model, sequences, kFloat32, storage), first, model.config().layers, options,
           run.keeper);
  run.losses = pass.losses();
  EXPECT_EQ(store.bytes_in_memory(), 0);
  return run;
}

TEST(GoldenBackwardPass, GradientsLossesAndFisherMatricesEqualTransformers) {
  HALFTONE_REQUIRE_SHARED("golden/forward/stories260K_block2_grad.safetensors");
  const SafetensorsFile golden(shared_data("golden/forward/stories260K_block2_grad.safetensors"));
  const auto expected = [&](const std::string& name) { return golden.view(*golden.find(name)); };
  const Model model = open_demo();
  const at::Tensor ids = expected("ids");
  const auto targets = static_cast<double>(ids.size(1) - 1);
  const Gradients run = run_pass(model, ids, 3, {});
  EXPECT_LT(relative_error(run.losses, expected("loss")), kGoldenTolerance);
  for (const LinearSlot& slot : model.linears_of_block(2)) {
    const auto gradient = [&](int64_t i) {
      return run.keeper.gradients.at({2, slot.relative, i}) / targets;
    };
    EXPECT_LT(relative_error(gradient(0), expected("dW." + slot.relative)), kGoldenTolerance);
    at::Tensor inner = at::zeros({slot.in, slot.in}, at::kDouble);
    at::Tensor outer = at::zeros({slot.out, slot.out}, at::kDouble);
    for (int64_t i = 0; i < ids.size(0); ++i) {
      inner += gradient(i).t().mm(gradient(i));
      outer += gradient(i).mm(gradient(i).t());
    }
    EXPECT_LT(relative_error(inner, expected("GtG." + slot.relative)), kGoldenTolerance);
    EXPECT_LT(relative_error(outer, expected("GGt." + slot.relative)), kGoldenTolerance);
  }
}

TEST(BackwardPass, DoesNotDependOnTheSizeOfBatches) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(5, 24);
  for (const LabelKind labels : {LabelKind::kTruth, LabelKind::kSampled}) {
    const auto run = [&](int64_t per_batch) {
      return run_pass(model, ids, per_batch, {.labels = labels});
    };
    const Gradients one = run(1), all = run(5), some = run(3);
    ASSERT_EQ(one.keeper.gradients.size(), 5u * 35u);
    for (const auto& [key, gradient] : one.keeper.gradients) {
      EXPECT_LT(relative_error(all.keeper.gradients.at(key), gradient), kRounding);
      EXPECT_LT(relative_error(some.keeper.gradients.at(key), gradient), kRounding);
    }
  }
}

TEST(BackwardPass, WhatWasSpilledIsBitForBitTheSame) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 16);
  const auto run = [&](int64_t memory) {
    return run_pass(model, ids, 2, {}, 0, memory, at::kBFloat16);
  };
  const Gradients memory = run(1 << 30), disk = run(0);
  for (const auto& [key, gradient] : memory.keeper.gradients)
    EXPECT_TRUE(disk.keeper.gradients.at(key).equal(gradient));
}

// Sums G^T G of one linear of the last block.
class OneHessian final : public GradientObserver {
 public:
  explicit OneHessian(const LinearSlot& slot) : sum(slot.out, slot.in, at::kCPU), slot_(slot) {}
  void enter(const Block&) override {}
  void add(const std::vector<LinearGradient>& linears, const Batch&) override {
    for (const LinearGradient& linear : linears)
      if (linear.relative == slot_.relative) sum.add(linear.input, linear.delta);
  }
  void leave(const Block&, int64_t) override {}

  OutputHessian sum;

 private:
  LinearSlot slot_;
};

// methods.md 11, identity 12. With labels drawn from the model, the Fisher matrix is the Hessian of
// KL: moving row j of a linear along u costs 1/2 u^T H_j u, and the rows' matrices sum to ours.
TEST(BackwardPass, TheFisherMatrixOfSampledLabelsPredictsKl) {
  const at::NoGradGuard no_grad;
  const Execution exact{at::kCPU, at::kDouble, 2};
  const Model model = open_demo();
  const int64_t last = model.config().layers - 1;
  const at::Tensor ids = some_ids(8, 24);
  const Positions positions = model.positions(ids.size(1), exact);
  Sequences sequences(ids);
  BlockState state{embedded(model, sequences, exact, at::kDouble).hidden()};
  for (int64_t i = 0; i < last; ++i) model.run_block(model.load_block(i, exact, positions), state);
  const LinearSlot slot = model.linears_of_block(last)[2];  // v_proj
  const at::Tensor u = at::randn({slot.in}, at::kDouble);
  // what KL says, row by row
  const Head head = model.load_head(exact);
  const auto log_p = [&](const Block& block) {
    BlockState here = state;
    model.run_block(block, here);
    return at::log_softmax(model.logits(head, here.hidden.narrow(1, 0, ids.size(1) - 1)), -1);
  };
  constexpr double kStep = 1e-3;
  Block block = model.load_block(last, exact, positions);
  const at::Tensor weight = block.linears[slot.index].weight, p = log_p(block);
  double curvature = 0;
  for (int64_t row = 0; row < slot.out; ++row) {
    at::Tensor moved = weight.clone();
    moved[row] += u * kStep;
    block.linears[slot.index].weight = moved;
    curvature += 2 * (p.exp() * (p - log_p(block))).sum().item<double>() / (kStep * kStep);
  }
  // what the Fisher matrix says, over draws of the labels
  constexpr int kDraws = 150;
  std::vector<double> forms;
  TensorStore store(1 << 30, ".");
  for (int draw = 0; draw < kDraws; ++draw) {
    OneHessian observer(slot);
    BackwardPass(model, sequences, exact, positions, store)
        .run(Activations(state.hidden), last, last + 1,
             {.labels = LabelKind::kSampled, .seed = static_cast<uint64_t>(draw)}, observer);
    const at::Tensor fisher = observer.sum.finish(kLossScale).hessian.to(at::kDouble);
    forms.push_back(u.dot(fisher.mv(u)).item<double>());
  }
  const at::Tensor all = at::tensor(forms, at::kDouble);
  const double mean = all.mean().item<double>();
  const double error = all.std().item<double>() / std::sqrt(kDraws);
  EXPECT_NEAR(mean, curvature, 4 * error);
  EXPECT_LT(error, 0.03 * curvature);
}

TEST(BackwardPass, BFloat16ComputeChangesTheFisherMatrixLittle) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 32);
  const LinearSlot slot = model.linears_of_block(3)[2];
  const auto fisher = [&](at::ScalarType compute, at::ScalarType storage) {
    const Execution execution{at::kCPU, compute, 2};
    const Positions positions = model.positions(ids.size(1), execution);
    TensorStore store(1 << 30, ".");
    OneHessian observer(slot);
    Sequences sequences(ids);
    BackwardPass(model, sequences, execution, positions, store)
        .run(embedded(model, sequences, execution, storage), 3, 4, {}, observer);
    return observer.sum.finish(kLossScale).hessian;
  };
  const double error =
      relative_error(fisher(at::kBFloat16, at::kBFloat16), fisher(at::kFloat, at::kFloat));
  EXPECT_GT(error, 0);
  EXPECT_LT(error, kBFloat16Tolerance);
}

TEST(BackwardPass, SequencesThatOverflowAreLeftOutAndCounted) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(101, 4);
  const Positions positions = model.positions(4, kFloat32);
  const auto run = [&](std::vector<int64_t> bad, GradientObserver& observer, int64_t& left_out) {
    Sequences sequences(ids, 30 * 4);
    const Activations entering = embedded(model, sequences, kFloat32, at::kFloat);
    for (const int64_t i : bad)
      entering.hidden({i, 1}).fill_(std::numeric_limits<float>::infinity());
    TensorStore store(1 << 30, ".");
    BackwardPass pass(model, sequences, kFloat32, positions, store);
    pass.run(entering, 3, 5, {}, observer);
    left_out = sequences.left_out();
    return pass.losses();
  };
  GradientKeeper all, without;
  int64_t left_out = 0;
  (void)run({}, all, left_out);
  EXPECT_EQ(left_out, 0);
  const at::Tensor losses = run({37}, without, left_out);
  EXPECT_EQ(left_out, 1);
  for (const auto& [key, gradient] : all.gradients) {
    const at::Tensor& found = without.gradients.at(key);
    if (std::get<2>(key) == 37)
      EXPECT_EQ(found.abs().max().item<double>(), 0);
    else
      EXPECT_LT(relative_error(found, gradient), kRounding);
  }
  EXPECT_TRUE(losses.isnan().nonzero().equal(at::tensor({37}, at::kLong).view({1, 1})));
  const std::string message = message_of([&] { (void)run({3, 90}, without, left_out); });
  EXPECT_NE(message.find("2 of 101 calibration sequences"), std::string::npos) << message;
}

}  // namespace
}  // namespace halftone
