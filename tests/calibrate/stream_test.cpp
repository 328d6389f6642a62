#include "calibrate/stream.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "calibrate/demo_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::DemoStream;
using ::halftone::testing::message_of;
using ::halftone::testing::open_demo;
using ::halftone::testing::relative_error;
using ::halftone::testing::shared_data;
using ::halftone::testing::some_ids;

constexpr size_t kValue = 2;               // of Block::linears
constexpr double kGoldenTolerance = 1e-4;  // relative Frobenius error

// Statistics of every stage of a block, all blocks before it run in full precision.
std::vector<LinearStatistics> measure_block(const Model& model, const at::Tensor& ids,
                                            int64_t block_index) {
  const Execution execution{at::kCPU, at::kFloat, 2};
  DemoStream stream(model, ids, execution, false);
  for (int64_t i = 0;; ++i) {
    const Block block = model.load_block(i, execution, stream.positions());
    std::vector<LinearStatistics> all;
    for (int stage = 0; stage < model.family().stages; ++stage)
      all.push_back(stream.measure(block, block, stage));
    if (i == block_index) return all;
    stream.leave(block, block);
  }
}

TEST(GoldenStream, InputHessiansEqualTransformers) {
  HALFTONE_REQUIRE_SHARED("golden/forward/stories260K_block2_grad.safetensors");
  const SafetensorsFile golden(shared_data("golden/forward/stories260K_block2_grad.safetensors"));
  const Model model = open_demo();
  const auto all = measure_block(model, golden.view(*golden.find("ids")), 2);
  for (const LinearSlot& slot : model.linears_of_block(2)) {
    const at::Tensor expected = golden.view(*golden.find("XtX." + slot.relative));
    EXPECT_LT(relative_error(all[static_cast<size_t>(slot.stage)].hessian, expected),
              kGoldenTolerance)
        << slot.name;
  }
}

TEST(Stream, WalkingStageByStageEqualsRunningTheBlock) {
  const at::NoGradGuard no_grad;
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  const at::Tensor ids = some_ids(3, 40);
  DemoStream stream(model, ids, execution, false);
  BlockState state{model.embed(ids, execution)};
  const Block first = model.load_block(0, execution, stream.positions());
  for (int stage = 0; stage < model.family().stages; ++stage)
    (void)stream.measure(first, first, stage);
  stream.leave(first, first);
  model.run_block(first, state);
  const Block second = model.load_block(1, execution, stream.positions());
  const at::Tensor x = model.inputs(second, 0, state).front().x.reshape({-1, 64});
  EXPECT_LT(relative_error(stream.measure(second, second, 0).hessian, x.t().mm(x)), 1e-6);
}

TEST(Stream, LaterStagesSeeTheReplacedLinears) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  DemoStream stream(model, some_ids(2, 32), execution, false);
  Block block = model.load_block(0, execution, stream.positions());
  (void)stream.measure(block, block, 0);
  block.linears[kValue].weight.zero_();
  EXPECT_EQ(stream.measure(block, block, 1).hessian.abs().max().item<double>(), 0);
}

TEST(Stream, SequencesThatOverflowAreLeftOutAndTooManyAreAnError) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  DemoStream stream(model, some_ids(3, 16), execution, false);
  Block block = model.load_block(0, execution, stream.positions());
  block.tensors[0].fill_(std::numeric_limits<float>::infinity());
  const std::string message = message_of([&] { (void)stream.measure(block, block, 0); });
  EXPECT_NE(message.find("3 of 3"), std::string::npos) << message;
}

TEST(Stream, TwoStreamsThatAgreeHaveNoCrossMoment) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  DemoStream stream(model, some_ids(2, 32), execution, true, at::kBFloat16);
  const Block block = model.load_block(0, execution, stream.positions());
  for (int stage = 0; stage < model.family().stages; ++stage)
    EXPECT_EQ(stream.measure(block, block, stage).cross_moment.abs().max().item<double>(), 0);
}

TEST(Stream, TheCrossMomentIsTheDriftTimesTheInput) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  DemoStream stream(model, some_ids(2, 32), execution, true);
  const Block original = model.load_block(0, execution, stream.positions());
  Block halved = original;
  (void)stream.measure(halved, original, 0);
  halved.linears[kValue].weight = original.linears[kValue].weight / 2;
  // attention mixes values linearly: the input of o_proj halves, so Xf - X = X
  const LinearStatistics statistics = stream.measure(halved, original, 1);
  EXPECT_LT(relative_error(statistics.cross_moment, statistics.hessian), 1e-6);
}

TEST(Stream, TheCrossMomentIsWeightedAsTheHessianIs) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  const at::Tensor weights = at::rand({1, 2, 32});
  DemoStream stream(model, some_ids(2, 32), execution, true);
  const Block original = model.load_block(0, execution, stream.positions());
  Block halved = original;
  const std::vector<StageSum> three = {
      {}, {.weights = {at::ones({1, 2, 32})}}, {.weights = {weights}}};
  for (const LinearStatistics& own : stream.measure(halved, original, 0, three))
    EXPECT_EQ(own.cross_moment.abs().max().item<double>(), 0);  // nothing has drifted yet
  halved.linears[kValue].weight = original.linears[kValue].weight / 2;
  const auto sums = stream.measure(halved, original, 1, three);
  EXPECT_TRUE(sums[1].cross_moment.equal(sums[0].cross_moment));  // all weights are 1
  // Xf - X = X, as above
  EXPECT_LT(relative_error(sums[2].cross_moment, sums[2].hessian), 1e-6);
  EXPECT_GT(relative_error(sums[2].cross_moment, sums[0].cross_moment), 0.1);
}

TEST(Stream, HeldOutSequencesAreInNoSumButTheirOwn) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  const at::Tensor ids = some_ids(5, 32);
  const auto measured = [&](const at::Tensor& of, int64_t held_out) {
    DemoStream stream(model, of, execution, true);
    stream.sequences.hold_out(held_out);
    const Block original = model.load_block(0, execution, stream.positions());
    Block halved = original;
    (void)stream.measure(halved, original, 0);
    halved.linears[kValue].weight = original.linears[kValue].weight / 2;
    return stream.measure(halved, original, 1);
  };
  const LinearStatistics first = measured(ids.narrow(0, 0, 3), 0),
                         rest = measured(ids.narrow(0, 3, 2), 0);
  const LinearStatistics both = measured(ids, 2);
  EXPECT_FALSE(first.held_out.has_value());
  EXPECT_EQ(both.tokens, 3 * 32);
  EXPECT_LT(relative_error(both.hessian, first.hessian), 1e-6);
  EXPECT_LT(relative_error(both.cross_moment, first.cross_moment), 1e-6);
  EXPECT_LT(relative_error(both.held_out->hessian, rest.hessian), 1e-6);
  EXPECT_LT(relative_error(both.held_out->cross_moment, rest.cross_moment), 1e-6);
  EXPECT_LT(relative_error(both.held_out->drift, rest.hessian), 1e-6);  // Xf - X = X here
}

TEST(Stream, BFloat16ActivationsChangeTheHessianLittle) {
  const Model model = open_demo();
  const Execution execution{at::kCPU, at::kFloat, 1};
  const auto run = [&](at::ScalarType storage) {
    DemoStream stream(model, some_ids(4, 64), execution, false, storage);
    const Block block = model.load_block(0, execution, stream.positions());
    for (int stage = 0; stage < 3; ++stage) (void)stream.measure(block, block, stage);
    return stream.measure(block, block, 3).hessian;
  };
  const double error = relative_error(run(at::kBFloat16), run(at::kFloat));
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 0.01);  // bfloat16 keeps 8 bits
}

}  // namespace
}  // namespace halftone
