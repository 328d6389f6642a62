#include "calibrate/calibration.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "calibrate/demo_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::DemoStream;
using ::halftone::testing::kDown;
using ::halftone::testing::message_of;
using ::halftone::testing::open_demo;
using ::halftone::testing::relative_error;
using ::halftone::testing::some_ids;

constexpr double kRounding = 1e-5;  // float32 sums in another order
constexpr double kNoise = 1e-3;     // eigenvalues that a difference of such sums may leave
const Execution kFloat32{at::kCPU, at::kFloat, 2};

ObjectiveOptions objective(ObjectiveKind kind) {
  ObjectiveOptions options;
  options.kind = kind;
  return options;
}

CalibrationOptions options_for(const ObjectiveOptions& all,
                               ScheduleKind schedule = ScheduleKind::kOneShot) {
  CalibrationOptions options;
  options.model.schedule = schedule;
  options.objective = [all](const LinearSlot&) { return all; };
  options.storage = at::kFloat;
  options.spill_folder = std::filesystem::temp_directory_path();
  return options;
}

// Replaces linears of the stage that was measured last.
using Change = std::function<void(Calibration& calibration, int64_t block, int stage)>;

// Statistics of all linears of the blocks up to `last` that have any.
std::map<std::string, LinearStatistics> calibrate(
    const Model& model, const at::Tensor& ids, const CalibrationOptions& options, int64_t last,
    const Change& change = [](Calibration&, int64_t, int) {}) {
  SilentProgress progress;
  Calibration calibration(model, ids, kFloat32, options, progress);
  std::map<std::string, LinearStatistics> all;
  for (int64_t index = 0; index <= last; ++index) {
    calibration.enter(index);
    for (int stage = 0; stage < model.family().stages; ++stage) {
      const StageStatistics statistics = calibration.measure(stage);
      for (const LinearSlot& linear : model.linears_of_stage(index, stage))
        if (statistics.of(linear).hessian.defined()) all[linear.name] = statistics.of(linear);
      change(calibration, index, stage);
    }
    calibration.leave();
  }
  return all;
}

// Half of the weights of the first block's down projection.
at::Tensor half_of_down(const Model& model) {
  const Positions positions = model.positions(1, kFloat32);
  return model.load_block(0, kFloat32, positions).linears[kDown].weight / 2;
}

Change halve_down(const Model& model) {
  return [&model](Calibration& calibration, int64_t block, int stage) {
    const LinearSlot& down = model.linears_of_block(0)[kDown];
    if (block == 0 && stage == down.stage) calibration.replace(down, half_of_down(model));
  };
}

// Of the model as it is after `change`, all blocks.
LinearStatistics measure_head(const Model& model, const at::Tensor& ids,
                              const CalibrationOptions& options, const Change& change) {
  SilentProgress progress;
  Calibration calibration(model, ids, kFloat32, options, progress);
  for (int64_t index = 0; index < model.config().layers; ++index) {
    calibration.enter(index);
    for (int stage = 0; stage < model.family().stages; ++stage) {
      (void)calibration.measure(stage);
      change(calibration, index, stage);
    }
    calibration.leave();
  }
  return calibration.measure_head();
}

TEST(Calibration, OfTheHeadSeesWhatTheFinalNormGivesBehindTheChangedBlocks) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 24);
  CalibrationOptions options = options_for(objective(ObjectiveKind::kInput));
  options.head = true;
  options.two_streams = true;
  const LinearStatistics found = measure_head(model, ids, options, halve_down(model));
  const auto inputs = [&](bool changed) {
    const at::NoGradGuard no_grad;
    const Positions positions = model.positions(24, kFloat32);
    BlockState state{model.embed(ids, kFloat32)};
    for (int64_t index = 0; index < model.config().layers; ++index) {
      Block block = model.load_block(index, kFloat32, positions);
      if (changed && index == 0) block.linears[kDown].weight = half_of_down(model);
      model.run_block(block, state);
    }
    return model.head_input(model.load_head(kFloat32), state.hidden).flatten(0, 1).to(at::kDouble);
  };
  const at::Tensor x = inputs(true), original = inputs(false);
  EXPECT_EQ(found.tokens, 3 * 24);
  EXPECT_LT(relative_error(found.hessian, x.t().mm(x)), kRounding);
  EXPECT_LT(relative_error(found.cross_moment, (original - x).t().mm(x)), 10 * kRounding);
  EXPECT_GT(relative_error(original.t().mm(original), x.t().mm(x)), 0.01);
}

TEST(Calibration, OfTheHeadComesBehindTheLastBlockAndWhereItIsAskedFor) {
  const Model model = open_demo();
  const auto nothing = [](Calibration&, int64_t, int) {};
  CalibrationOptions options = options_for(objective(ObjectiveKind::kNone));
  EXPECT_FALSE(measure_head(model, some_ids(2, 8), options, nothing).hessian.defined());
  options.head = true;  // alone
  EXPECT_TRUE(measure_head(model, some_ids(2, 8), options, nothing).hessian.defined());
  SilentProgress progress;
  Calibration calibration(model, some_ids(2, 8), kFloat32, options, progress);
  EXPECT_NE(message_of([&] { (void)calibration.measure_head(); }).find("the last block"),
            std::string::npos);
}

TEST(Calibration, HandsOutStatisticsThatAreKnownBeforehand) {
  const Model model = open_demo();
  CalibrationOptions options = options_for(objective(ObjectiveKind::kImatrix));
  options.known = [](const LinearSlot& linear) {
    LinearStatistics statistics;
    statistics.hessian = at::diag(at::full({linear.in}, static_cast<double>(linear.stage)));
    return statistics;
  };
  const auto all = calibrate(model, {}, options, 1);
  ASSERT_EQ(all.size(), 14U);
  EXPECT_EQ(all.at("model.layers.1.mlp.down_proj").hessian[5][5].item<double>(), 3);
  EXPECT_EQ(all.at("model.layers.1.self_attn.q_proj").hessian[5][5].item<double>(), 0);
}

constexpr ObjectiveKind kEndLossKinds[] = {ObjectiveKind::kOac, ObjectiveKind::kGuided,
                                           ObjectiveKind::kDiagonal};

TEST(Calibration, BlockWiseEqualsOneShotOnTheFirstBlock) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  for (const ObjectiveKind kind : kEndLossKinds) {
    const auto once = calibrate(model, ids, options_for(objective(kind)), 0);
    const auto block_wise =
        calibrate(model, ids, options_for(objective(kind), ScheduleKind::kBlockWise), 0);
    ASSERT_EQ(once.size(), 7u);
    for (const auto& [name, statistics] : once)
      EXPECT_TRUE(block_wise.at(name).hessian.equal(statistics.hessian)) << name;
  }
}

TEST(Calibration, BlockWiseGradientsSeeTheChangedPrefixAndOneShotOnesDoNot) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  const std::string name = "model.layers.1.mlp.up_proj";
  const auto change_of = [&](ScheduleKind schedule) {
    const auto options = options_for(objective(ObjectiveKind::kOac), schedule);
    return relative_error(calibrate(model, ids, options, 1, halve_down(model)).at(name).hessian,
                          calibrate(model, ids, options, 1).at(name).hessian);
  };
  EXPECT_GT(change_of(ScheduleKind::kBlockWise), 0.05);
  EXPECT_EQ(change_of(ScheduleKind::kOneShot), 0);
}

TEST(Calibration, BlockWiseEqualsOneShotEverywhereWhenNothingChanges) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  for (const ObjectiveKind kind : kEndLossKinds) {
    const auto once = calibrate(model, ids, options_for(objective(kind)), 4);
    const auto block_wise =
        calibrate(model, ids, options_for(objective(kind), ScheduleKind::kBlockWise), 4);
    ASSERT_EQ(once.size(), 35u);
    for (const auto& [name, statistics] : once)
      EXPECT_LT(relative_error(block_wise.at(name).hessian, statistics.hessian), kRounding);
  }
}

TEST(Calibration, EqualTokenWeightsGiveTheInputHessian) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  const Positions positions = model.positions(24, kFloat32);
  DemoStream stream(model, ids, kFloat32, false);
  const Block block = model.load_block(0, kFloat32, positions);
  const std::vector<StageSum> asked = {{}, {.weights = {at::full({1, 4, 24}, 0.25f)}}};
  const auto both = stream.measure(block, block, 0, asked);
  EXPECT_LT(relative_error(both[1].hessian * 4, both[0].hessian), kRounding);
}

TEST(Calibration, TokenWeightsCountEachTokenByItsSquaredGradient) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 20);
  const auto guided = calibrate(model, ids, options_for(objective(ObjectiveKind::kGuided)), 2);
  // one token's part is s x^T x; summed over the tokens of all sequences, by a pass of its own
  class Reference final : public GradientObserver {
   public:
    void enter(const Block& block) override { block_ = block.index; }
    void add(const std::vector<LinearGradient>& linears, const Batch&) override {
      for (const LinearGradient& linear : linears) {
        if (block_ != 2) continue;
        const at::Tensor x = linear.input.flatten(0, 1).to(at::kDouble);
        const at::Tensor delta = linear.delta.flatten(0, 1).to(at::kDouble) / kLossScale;
        at::Tensor part = at::zeros({x.size(1), x.size(1)}, at::kDouble);
        for (int64_t t = 0; t < x.size(0); ++t)
          part += at::outer(x[t], x[t]) * delta[t].square().mean();
        at::Tensor& sum = sums[linear.relative];
        sum = sum.defined() ? sum + part : part;
      }
    }
    void leave(const Block&, int64_t) override {}
    std::map<std::string, at::Tensor> sums;

   private:
    int64_t block_ = -1;
  } reference;
  const Positions positions = model.positions(20, kFloat32);
  TensorStore store(1 << 30, ".");
  Sequences sequences(ids);
  BackwardPass(model, sequences, kFloat32, positions, store)
      .run(embedded(model, sequences, kFloat32, at::kFloat), 0, 5, {}, reference);
  for (const LinearSlot& slot : model.linears_of_block(2))
    EXPECT_LT(relative_error(guided.at(slot.name).hessian, reference.sums.at(slot.relative)),
              kRounding)
        << slot.name;
}

TEST(Calibration, HessiansOfRunsOfRowsAddUpToThatOfAll) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 20);
  const auto with_groups = [&](int64_t groups) {
    ObjectiveOptions options = objective(ObjectiveKind::kGuided);
    options.row_groups = groups;
    return calibrate(model, ids, options_for(options), 1);
  };
  const auto one = with_groups(1), four = with_groups(4), rows = with_groups(1024);
  for (const LinearSlot& slot : model.linears_of_block(1)) {
    const at::Tensor& all = one.at(slot.name).hessian;
    ASSERT_EQ(all.dim(), 2);
    ASSERT_EQ(four.at(slot.name).hessian.size(0), 4);
    ASSERT_EQ(rows.at(slot.name).hessian.size(0), slot.out);
    at::Tensor sum = at::zeros_like(all);
    for (int64_t g = 0; g < 4; ++g)
      sum += four.at(slot.name).hessian[g] *
             (first_row_of_group(slot.out, 4, g + 1) - first_row_of_group(slot.out, 4, g));
    EXPECT_LT(relative_error(sum / slot.out, all), kRounding);
    EXPECT_LT(relative_error(rows.at(slot.name).hessian.mean({0}), all), kRounding);
    EXPECT_EQ(four.at(slot.name).tokens, one.at(slot.name).tokens);
  }
}

TEST(Calibration, TokenWeightsKeepTheTraceOfEachRowsHessian) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 20);
  ObjectiveOptions options = objective(ObjectiveKind::kGuided);
  options.row_groups = 1024;
  for (const auto& [name, own] : calibrate(model, ids, options_for(options), 1))
    EXPECT_LT(relative_error(own.row_energies, own.hessian.diagonal(0, 1, 2).sum(1)), kRounding)
        << name;
}

// Block-wise, where there are gradients: one-shot ones see no drift.
CalibrationOptions two_stream_options(const ObjectiveOptions& all) {
  CalibrationOptions options = options_for(all, ScheduleKind::kBlockWise);
  options.two_streams = true;
  return options;
}

TEST(Calibration, StreamsThatAgreeHaveNoCrossMomentWithAnyObjective) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  for (const ObjectiveKind kind : {ObjectiveKind::kGuided, ObjectiveKind::kOac}) {
    ObjectiveOptions options = objective(kind);
    for (const double blend : {0.0, 0.5}) {
      options.blend = blend;
      const auto all = calibrate(model, ids, two_stream_options(options), 1);
      ASSERT_EQ(all.size(), 14u);
      for (const auto& [name, own] : all)
        EXPECT_EQ(own.cross_moment.abs().max().item<double>(), 0) << name;
    }
  }
}

// Inputs of block 1 in the full-precision model and behind a changed block 0.
struct Drifted {
  at::Tensor original, changed;  // (batch, length, hidden)
};

Drifted drifted_hidden(const Model& model, const at::Tensor& ids, const Positions& positions) {
  const at::NoGradGuard no_grad;
  BlockState original{model.embed(ids, kFloat32)}, changed = original;
  Block block = model.load_block(0, kFloat32, positions);
  model.run_block(block, original);
  block.linears[kDown].weight = half_of_down(model);
  model.run_block(block, changed);
  return {original.hidden, changed.hidden};
}

// Sums of a linear of the first block of a pass, sequence by sequence in float64.
class SlowMoments final : public GradientObserver {
 public:
  explicit SlowMoments(const std::vector<at::Tensor>& originals) : originals_(originals) {}
  void enter(const Block&) override {}
  void add(const std::vector<LinearGradient>& linears, const Batch& batch) override {
    for (size_t k = 0; k < linears.size(); ++k)
      for (int64_t i = 0; i < linears[k].delta.size(0); ++i) {
        const at::Tensor delta = linears[k].delta[i].to(at::kDouble) / kLossScale;
        const at::Tensor x = linears[k].input[i].to(at::kDouble);
        const at::Tensor full = originals_[k][batch.first + i].to(at::kDouble);
        const at::Tensor part = delta.t().mm(full - x).t().mm(delta.t().mm(x));
        at::Tensor& sum = sums[linears[k].relative];
        sum = sum.defined() ? sum + part : part;
      }
  }
  void leave(const Block&, int64_t) override {}
  std::map<std::string, at::Tensor> sums;

 private:
  std::vector<at::Tensor> originals_;  // of each linear, (batch, length, in)
};

TEST(Calibration, BlockWiseOutputHessiansComeWithTheDriftSeenByTheirGradients) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  const auto options = objective(ObjectiveKind::kOac);
  const auto found = calibrate(model, ids, two_stream_options(options), 1, halve_down(model));
  // methods.md 3.5, D = sum of (Delta^T dX)^T G, from a pass of its own
  const Positions positions = model.positions(24, kFloat32);
  const Drifted hidden = drifted_hidden(model, ids, positions);
  SlowMoments expected(
      linear_inputs(model, model.load_block(1, kFloat32, positions), hidden.original).x);
  TensorStore store(1 << 30, ".");
  Sequences sequences(ids);
  BackwardPass(model, sequences, kFloat32, positions, store)
      .run(Activations(hidden.changed), 1, 2, {}, expected);
  for (const LinearSlot& slot : model.linears_of_block(1)) {
    const LinearStatistics& own = found.at(slot.name);
    EXPECT_LT(relative_error(own.cross_moment, expected.sums.at(slot.relative)), 1e-4) << slot.name;
    EXPECT_GT((own.cross_moment.norm() / own.hessian.norm()).item<double>(), 0.01) << slot.name;
  }
}

TEST(Calibration, AClosedGateTakesTheDriftOfTheInputsToo) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(10, 16);
  ObjectiveOptions gated = objective(ObjectiveKind::kOac);
  gated.gate = 100;
  const auto closed = calibrate(model, ids, two_stream_options(gated), 1, halve_down(model));
  const auto input = calibrate(model, ids, two_stream_options(objective(ObjectiveKind::kInput)), 1,
                               halve_down(model));
  for (const LinearSlot& slot : model.linears_of_block(1))
    EXPECT_TRUE(closed.at(slot.name).cross_moment.equal(input.at(slot.name).cross_moment));
}

TEST(Calibration, LinearsShareAHessianOnlyWithTheInputObjective) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 20);
  const auto shared = [&](ObjectiveKind kind) {
    const auto all = calibrate(model, ids, options_for(objective(kind)), 0);
    const std::string attention = "model.layers.0.self_attn.";
    return all.at(attention + "q_proj").hessian.is_same(all.at(attention + "k_proj").hessian);
  };
  EXPECT_TRUE(shared(ObjectiveKind::kInput));
  for (const ObjectiveKind kind : kEndLossKinds) EXPECT_FALSE(shared(kind));
}

TEST(Calibration, EachLinearHasItsOwnObjective) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 20);
  const auto all_of = [&](ObjectiveKind kind) {
    return calibrate(model, ids, options_for(objective(kind)), 1);
  };
  CalibrationOptions mixed = options_for({});
  mixed.objective = [](const LinearSlot& slot) {
    if (slot.relative.ends_with("up_proj")) return objective(ObjectiveKind::kOac);
    if (slot.relative.ends_with("gate_proj")) return objective(ObjectiveKind::kGuided);
    return objective(slot.stage == 1 ? ObjectiveKind::kNone : ObjectiveKind::kInput);
  };
  const auto all = calibrate(model, ids, mixed, 1);
  EXPECT_EQ(all.size(), 12u);  // o_proj asks for nothing
  const auto same = [&](const char* name, ObjectiveKind kind) {
    return relative_error(all.at(name).hessian, all_of(kind).at(name).hessian) < kRounding;
  };
  EXPECT_TRUE(same("model.layers.1.mlp.up_proj", ObjectiveKind::kOac));
  EXPECT_TRUE(same("model.layers.1.mlp.gate_proj", ObjectiveKind::kGuided));
  EXPECT_TRUE(same("model.layers.1.mlp.down_proj", ObjectiveKind::kInput));
}

TEST(Calibration, AllOfTheInputBlendedInIsTheInputHessianScaled) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(3, 20);
  ObjectiveOptions blend = objective(ObjectiveKind::kOac);
  blend.blend = 1;
  const auto blended = calibrate(model, ids, options_for(blend), 0);
  const auto input = calibrate(model, ids, options_for(objective(ObjectiveKind::kInput)), 0);
  for (const auto& [name, statistics] : input) {
    const at::Tensor& h = blended.at(name).hessian;
    EXPECT_LT(relative_error(h / h.trace(), statistics.hessian / statistics.hessian.trace()),
              kRounding)
        << name;
  }
}

TEST(Calibration, TheGateFallsBackToTheInputHessianAndSaysSo) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(10, 16);
  const auto with_gate = [&](double gate) {
    ObjectiveOptions options = objective(ObjectiveKind::kOac);
    options.gate = gate;
    return calibrate(model, ids, options_for(options), 1);
  };
  const auto closed = with_gate(100), open = with_gate(1e-9), none = with_gate(0);
  const auto input = calibrate(model, ids, options_for(objective(ObjectiveKind::kInput)), 1);
  for (const auto& [name, statistics] : input) {
    EXPECT_TRUE(closed.at(name).hessian.equal(statistics.hessian)) << name;
    EXPECT_NE(closed.at(name).fallback.find("input Hessian"), std::string::npos) << name;
    EXPECT_TRUE(open.at(name).hessian.equal(none.at(name).hessian)) << name;
    EXPECT_EQ(open.at(name).fallback, "") << name;
    EXPECT_GT(open.at(name).gate_score, 0) << name;
    EXPECT_EQ(none.at(name).gate_score, 0) << name;
  }
}

// X^T X is that of all tokens, and of the first ones as often again as asked for; so is D.
TEST(Calibration, FirstTokensCountAsAskedForInTheInputHessian) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  const std::string name = "model.layers.1.mlp.up_proj";
  const auto statistics_of = [&](double first_token) {
    CalibrationOptions options = options_for(objective(ObjectiveKind::kInput));
    options.model.first_token = first_token;
    options.two_streams = true;
    return calibrate(model, ids, options, 1, halve_down(model)).at(name);
  };
  const LinearStatistics all = statistics_of(1), rest = statistics_of(0), nine = statistics_of(9);
  for (const auto& matrix : {&LinearStatistics::hessian, &LinearStatistics::cross_moment}) {
    const at::Tensor first = all.*matrix - rest.*matrix;
    EXPECT_GT((first.norm() / (all.*matrix).norm()).item<double>(), 0.01);
    EXPECT_LT(relative_error(nine.*matrix, rest.*matrix + 9 * first), kRounding);
  }
  EXPECT_EQ(nine.tokens, all.tokens);
  EXPECT_LT(at::linalg_matrix_rank(all.hessian - rest.hessian, kNoise, true).item<int64_t>(), 5);
}

TEST(Calibration, OverNothingAnswersWithNothing) {
  const Model model = open_demo();
  SilentProgress progress;
  Calibration calibration(model, {}, kFloat32, options_for(objective(ObjectiveKind::kNone)),
                          progress);
  calibration.enter(0);
  for (int stage = 0; stage < model.family().stages; ++stage) {
    const StageStatistics statistics = calibration.measure(stage);
    for (const LinearSlot& linear : model.linears_of_stage(0, stage)) {
      EXPECT_FALSE(statistics.of(linear).hessian.defined());
      calibration.replace(linear, at::zeros({linear.out, linear.in}));
    }
  }
  calibration.leave();
  EXPECT_FALSE(calibration.left_out_sequences().has_value());
}

TEST(Calibration, CallsOutOfOrderAreErrors) {
  const Model model = open_demo();
  const auto linears = model.linears_of_block(0);
  for (const at::Tensor& ids : {some_ids(2, 8), at::Tensor()}) {  // over nothing, too
    const auto objectives = objective(ids.defined() ? ObjectiveKind::kInput : ObjectiveKind::kNone);
    SilentProgress progress;
    Calibration calibration(model, ids, kFloat32, options_for(objectives), progress);
    const auto refused = [](const std::function<void()>& call, const std::string& expected) {
      const std::string message = message_of(call);
      EXPECT_NE(message.find(expected), std::string::npos) << message;
    };
    const auto measure = [&](int stage) { (void)calibration.measure(stage); };
    const auto replace = [&](size_t linear) {
      calibration.replace(linears[linear], at::zeros({linears[linear].out, linears[linear].in}));
    };
    refused([&] { measure(0); }, "expected a block to be entered");
    refused([&] { calibration.enter(1); }, "expected block 0 to be entered");
    calibration.enter(0);
    refused([&] { measure(1); }, "expected stage 0");  // skips one
    measure(0);
    refused([&] { measure(0); }, "expected stage 1");  // repeats it
    refused([&] { replace(kDown); }, "stage 0");
    replace(0);
    refused([&] { calibration.leave(); }, "expected stage 1 to be measured");
    refused([&] { calibration.enter(1); }, "expected block 0 to be left");
    for (int stage = 1; stage < model.family().stages; ++stage) measure(stage);
    calibration.leave();
    calibration.enter(1);
    refused([&] { replace(0); }, "expected a linear of block 1");
  }
}

TEST(Calibration, WhatWasReplacedUnmeasuredIsNotMeasured) {
  const Model model = open_demo();
  SilentProgress progress;
  Calibration calibration(model, some_ids(2, 8), kFloat32,
                          options_for(objective(ObjectiveKind::kInput)), progress);
  calibration.enter(0);
  calibration.replace(model.linears_of_block(0)[kDown], half_of_down(model));
  const std::string message = message_of([&] { (void)calibration.measure(0); });
  EXPECT_NE(message.find("replaced before"), std::string::npos) << message;
}

// Remembers what it was told.
class NotedProgress final : public Progress {
 public:
  void begin(std::string_view, int64_t) override {}
  void update(int64_t, std::string_view detail) override { details.emplace_back(detail); }
  void end() override {}
  std::vector<std::string> details;
};

TEST(Calibration, ABlockThatWasQuantizedBeforeIsPassedToTheSameBitsWithoutGradients) {
  const Model model = open_demo();
  const at::Tensor ids = some_ids(4, 24);
  for (const ObjectiveKind kind :
       {ObjectiveKind::kInput, ObjectiveKind::kOac, ObjectiveKind::kGuided}) {
    CalibrationOptions options = options_for(objective(kind), ScheduleKind::kBlockWise);
    options.two_streams = true;
    const auto whole = calibrate(model, ids, options, 1, halve_down(model));
    NotedProgress progress;
    Calibration resumed(model, ids, kFloat32, options, progress);
    resumed.enter(0);
    resumed.replace(model.linears_of_block(0)[kDown], half_of_down(model));
    resumed.leave();
    EXPECT_TRUE(progress.details.empty());
    resumed.enter(1);
    for (int stage = 0; stage < model.family().stages; ++stage) {
      const StageStatistics statistics = resumed.measure(stage);
      for (const LinearSlot& linear : model.linears_of_stage(1, stage)) {
        const LinearStatistics &now = statistics.of(linear), &then = whole.at(linear.name);
        EXPECT_TRUE(now.hessian.equal(then.hessian)) << linear.name;
        EXPECT_TRUE(now.cross_moment.equal(then.cross_moment)) << linear.name;
      }
    }
  }
}

}  // namespace
}  // namespace halftone
