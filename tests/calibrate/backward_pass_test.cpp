#include "calibrate/backward_pass.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "calibrate/demo_model.h"
#include "calibrate/output_hessian.h"
#include "checkpoint/checkpoint.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::embedded;
using ::halftone::testing::message_of;
using ::halftone::testing::open_demo;
using ::halftone::testing::relative_error;
using ::halftone::testing::shared_data;
using ::halftone::testing::some_ids;

constexpr double kGoldenTolerance = 1e-4;  // relative Frobenius error, golden/README.md
constexpr double kRounding = 1e-5;         // float32 sums in another order
const Execution kFloat32{at::kCPU, at::kFloat, 2};

// Keeps G of every sequence and linear, in float64.
class GradientKeeper final : public GradientObserver {
 public:
  void enter(const Block& block) override { block_ = block.index; }
  void add(const std::vector<LinearGradient>& linears, int64_t first) override {
    for (const LinearGradient& linear : linears)
      for (int64_t i = 0; i < linear.delta.size(0); ++i) {
        const at::Tensor delta = linear.delta[i].to(at::kDouble) / kLossScale;
        gradients[{block_, linear.relative, first + i}] =
            delta.t().mm(linear.input[i].to(at::kDouble));
      }
  }
  void leave(const Block&) override {}

  std::map<std::tuple<int64_t, std::string, int64_t>, at::Tensor> gradients;  // (out, in)

 private:
  int64_t block_ = -1;
};

struct Gradients {
  GradientKeeper keeper;
  at::Tensor losses;
};

Gradients run_pass(const Model& model, const at::Tensor& ids, int64_t per_batch,
                   const BackwardOptions& options, int64_t first = 0, int64_t memory = 1 << 30) {
  Gradients run;
  const RopeTable rope = make_rope_table(model.config(), ids.size(1), at::kCPU, at::kFloat);
  TensorStore store(memory, std::filesystem::temp_directory_path());
  BackwardPass pass(model, ids, kFloat32, rope, store);
  pass.run(embedded(model, ids, kFloat32, per_batch), first, model.config().layers, options,
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
  const Gradients run = run_pass(model, ids, 3, {.storage = at::kFloat});
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

TEST(BackwardPass, DoesNotDependOnTheSizeOfBatchesAndSteps) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(5, 24);
  for (const LabelKind labels : {LabelKind::kTruth, LabelKind::kSampled}) {
    const auto run = [&](int64_t per_batch, int64_t tokens) {
      return run_pass(model, ids, per_batch,
                      {.labels = labels, .storage = at::kFloat, .tokens_per_step = tokens});
    };
    const Gradients one = run(1, 1), all = run(5, 1 << 20), some = run(3, 48);
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
  const Gradients memory = run_pass(model, ids, 2, {}), disk = run_pass(model, ids, 2, {}, 0, 0);
  for (const auto& [key, gradient] : memory.keeper.gradients)
    EXPECT_TRUE(disk.keeper.gradients.at(key).equal(gradient));
}

}  // namespace
}  // namespace halftone
