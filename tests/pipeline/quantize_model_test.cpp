// The whole job on the demo model (examples/stories260K, 260K parameters).
#include "pipeline/quantize_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <span>
#include <string>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/quantize_job.h"
#include "report/quantize_report.h"
#include "support/fixtures.h"
#include "text/corpus.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::entries;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::recipe_named;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

json evaluate(const fs::path& model, const std::string& reference = "stories260K") {
  EvaluateRequest request;
  request.model = model;
  request.reference = example(reference);
  request.texts = {example("tinystories-evaluation.txt")};
  request.length = 256;
  request.windows = 16;
  request.threads = 2;
  SilentProgress progress;
  return evaluate_model(request, progress);
}

TEST(QuantizeModel, GptqBeatsRoundToNearestAtThreeBits) {
  const TemporaryFolder folder;
  run(request_for(folder / "rtn", "rtn", 3));
  run(request_for(folder / "gptq", "gptq", 3));
  const json rtn = evaluate(folder / "rtn"), gptq = evaluate(folder / "gptq");
  EXPECT_LT(gptq["kl"]["mean"].get<double>(), 0.7 * rtn["kl"]["mean"].get<double>());
  EXPECT_EQ(gptq["bits_per_weight"]["quoted"], rtn["bits_per_weight"]["quoted"]);
}

TEST(QuantizeModel, AdpqNeedsNoTextAndReportsItsOutliers) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "adpq", 3);
  request.calibration.clear();
  const json report = run(request);
  EXPECT_TRUE(report["verified"].get<bool>());
  for (const json& linear : report["linears"]) {
    EXPECT_NEAR(linear["outliers"].get<double>(), 0.05, 1e-3);
    EXPECT_GT(linear["weight_divergence"].get<double>(), 0);
    EXPECT_EQ(linear["fallback"], "");
  }
}

TEST(QuantizeModel, PreCalibratedSweepsBeatTheirMaskAlone) {
  const TemporaryFolder folder;
  const auto divergence = [&](const std::string& recipe) {
    EXPECT_TRUE(run(request_for(folder / recipe, recipe, 3))["verified"].get<bool>());
    return evaluate(folder / recipe)["kl"]["mean"].get<double>();
  };
  const double mask_alone = divergence("adpq");
  EXPECT_LT(divergence("precal-gptq"), mask_alone);
  EXPECT_LT(divergence("precal-spqr"), mask_alone);
}

TEST(QuantizeModel, EightBitsAreNearlyTheOriginal) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "gptq", 8));
  const json result = evaluate(folder / "out");
  EXPECT_LT(result["kl"]["mean"].get<double>(), 1e-3);
  EXPECT_GT(result["top1"]["value"].get<double>(), 0.98);
}

TEST(QuantizeModel, ReportsWhatItDid) {
  const TemporaryFolder folder;
  const json report = run(request_for(folder / "out", "gptq", 4));
  EXPECT_TRUE(report["verified"].get<bool>());
  ASSERT_EQ(report["linears"].size(), 35u);
  EXPECT_EQ(report["linears"][0]["name"], "model.layers.0.self_attn.q_proj");
  EXPECT_GT(report["linears"][0]["loss"].get<double>(), 0);
  EXPECT_EQ(report["calibration"]["sequences"], 8);
  EXPECT_GT(report["seconds"].get<double>(), 0);
  const json stored = json::parse(read_file(folder / "out" / "halftone.json"));
  EXPECT_FALSE(stored.contains("seconds"));
  EXPECT_EQ(stored["recipe"], report["recipe"]);
}

TEST(QuantizeModel, TwoRunsGiveTheSameBytes) {
  const TemporaryFolder folder;
  run(request_for(folder / "a", "gptq", 3));
  run(request_for(folder / "b", "gptq", 3));
  const auto a = contents(folder / "a"), b = contents(folder / "b");
  ASSERT_GT(a.size(), 3u);
  EXPECT_EQ(a, b);
}

// Stops after a few linears, as Ctrl-C does.
class InterruptingProgress final : public Progress {
 public:
  void begin(std::string_view, int64_t) override {}
  void update(int64_t done, std::string_view) override {
    if (done >= 9) throw Interrupted();
  }
  void end() override {}
};

struct EndLossCase {
  const char *recipe, *kind, *labels, *schedule;
};

class EndLossObjectives : public ::testing::TestWithParam<EndLossCase> {
 protected:
  QuantizeRequest request(const fs::path& out) const {
    const EndLossCase& wanted = GetParam();
    QuantizeRequest request = request_for(out, wanted.recipe, 3);
    apply_setting(request.recipe, fmt::format("objective.kind={}", wanted.kind));
    apply_setting(request.recipe, fmt::format("objective.labels={}", wanted.labels));
    apply_setting(request.recipe, fmt::format("objective.schedule={}", wanted.schedule));
    return request;
  }
};

TEST_P(EndLossObjectives, AreReportedAndGiveTheSameBytesWhereverDataWaits) {
  const TemporaryFolder folder;
  QuantizeRequest wanted = request(folder / "memory");
  const json report = run(wanted);
  EXPECT_TRUE(report["verified"].get<bool>());
  ASSERT_EQ(report["linears"].size(), 35u);
  for (const json& linear : report["linears"]) {
    EXPECT_EQ(linear["objective"], GetParam().kind);
    EXPECT_EQ(linear["labels"], GetParam().labels);
    EXPECT_EQ(linear["fallback"], "");
    EXPECT_GT(linear["loss"].get<double>(), 0);
  }
  EXPECT_EQ(report["calibration"]["dropped_sequences"], 0);
  wanted.out = folder / "disk";
  wanted.memory_limit = 0;
  run(wanted);
  EXPECT_EQ(contents(folder / "memory"), contents(folder / "disk"));
  EXPECT_EQ(entries(folder.path()), 2u);  // the temporary file is gone
}

INSTANTIATE_TEST_SUITE_P(QuantizeModel, EndLossObjectives,
                         ::testing::Values(EndLossCase{"oac-gptq", "oac", "truth", "oneshot"},
                                           EndLossCase{"oac-gptq", "oac", "sampled", "blockwise"},
                                           EndLossCase{"guided", "guided", "truth", "oneshot"},
                                           EndLossCase{"guided", "guided", "truth", "blockwise"},
                                           EndLossCase{"oac-gptq", "diagonal", "truth", "oneshot"}),
                         [](const auto& test) {
                           return fmt::format("{}_{}_{}", test.param.kind, test.param.labels,
                                              test.param.schedule);
                         });

TEST(QuantizeModel, EndLossObjectivesBeatRoundToNearestAtThreeBits) {
  const TemporaryFolder folder;
  const auto kl = [&](const std::string& recipe) {
    run(request_for(folder / recipe, recipe, 3));
    return evaluate(folder / recipe)["kl"]["mean"].get<double>();
  };
  const double rtn = kl("rtn");
  EXPECT_LT(kl("oac-gptq"), 0.75 * rtn);
  EXPECT_LT(kl("guided"), 0.7 * rtn);
}

TEST(QuantizeModel, TheGatesDecisionsAreReported) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "oac-gptq", 3);
  request.sequences = 20;
  apply_setting(request.recipe, "objective.gate=1");
  const json report = run(request);
  size_t closed = 0;
  for (const json& linear : report["linears"]) {
    const bool falls_back = linear["gate_score"].get<double>() < 1;
    EXPECT_EQ(linear["gate"], falls_back ? "closed" : "open");
    closed += falls_back ? 1 : 0;
    EXPECT_EQ(linear["fallback"].get<std::string>().starts_with("input Hessian"), falls_back);
  }
  EXPECT_GT(closed, 0u);
  EXPECT_LT(closed, 35u);
  request.out = folder / "refused";
  request.sequences = 4;
  EXPECT_NE(message_of([&] { run(request); }).find("--sequences 4"), std::string::npos);
  apply_setting(request.recipe, "objective.kind=guided");
  EXPECT_NE(message_of([&] { run(request); }).find("only oac has a gate"), std::string::npos);
}

TEST(QuantizeModel, TargetsWithoutADriftToSeeAreRefusedBeforeWork) {
  const TemporaryFolder folder;
  const auto complaint = [&](const std::string& kind, const std::string& setting) {
    QuantizeRequest request = request_for(folder / "out", "oac-gptq", 3);
    apply_setting(request.recipe, "objective.kind=" + kind);
    apply_setting(request.recipe, setting);
    InterruptingProgress progress;  // work would throw Interrupted instead
    return message_of([&] { quantize_model(request, progress); });
  };
  for (const char* setting : {"target.alpha=0.25", "target.preshift=0.5"})
    EXPECT_NE(complaint("oac", setting).find("needs objective.schedule = blockwise"),
              std::string::npos);
  for (const char* setting : {"target.alpha2=0.25", "target.preshift=0.5"})
    EXPECT_NE(complaint("diagonal", setting).find("compensates nothing"), std::string::npos);
}

TEST(QuantizeModel, TargetsFollowTheDriftOfEndLossObjectives) {
  const TemporaryFolder folder;
  const auto kl = [&](const std::string& kind, const std::string& schedule, double preshift) {
    const fs::path out = folder / fmt::format("{}{}", kind, preshift);
    QuantizeRequest request = request_for(out, "guided", 3);
    request.sequences = 32;
    apply_setting(request.recipe, "objective.kind=" + kind);
    apply_setting(request.recipe, "objective.schedule=" + schedule);
    apply_setting(request.recipe, fmt::format("target.preshift={}", preshift));
    EXPECT_TRUE(run(request)["verified"].get<bool>());
    return evaluate(out)["kl"]["mean"].get<double>();
  };
  EXPECT_LT(kl("guided", "oneshot", 0.5), kl("guided", "oneshot", 0));
  EXPECT_LT(kl("oac", "blockwise", 0.5), kl("oac", "blockwise", 0));
}

TEST(QuantizeModel, RowGroupsAndRowEnergiesGoThroughTheWholeJob) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "groups", "guided", 3);
  apply_setting(request.recipe, "objective.row_groups=4");
  apply_setting(request.recipe, "order.static_groups=false");
  EXPECT_TRUE(run(request)["verified"].get<bool>());
  request = request_for(folder / "energies", "oac", 3);  // ranks by row energies
  const json report = run(request);
  EXPECT_TRUE(report["verified"].get<bool>());
  for (const json& linear : report["linears"]) {
    EXPECT_EQ(linear["fallback"], "");
    EXPECT_NEAR(linear["outliers"].get<double>(), 0.005, 0.002);
  }
  request = request_for(folder / "refused", "oac", 3);
  apply_setting(request.recipe, "objective.kind=guided");
  apply_setting(request.recipe, "objective.row_groups=3");
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("whole runs"), std::string::npos) << message;
}

TEST(QuantizeModel, TheWeightOfFirstTokensGoesThroughTheWholeJob) {
  const TemporaryFolder folder;
  const json plain = run(request_for(folder / "plain", "gptq", 3));
  QuantizeRequest request = request_for(folder / "weighed", "gptq", 3);
  apply_setting(request.recipe, "objective.first_token=16");
  const json weighed = run(request);
  EXPECT_TRUE(weighed["verified"].get<bool>());
  EXPECT_NE(weighed["linears"][8]["loss"], plain["linears"][8]["loss"]);
}

TEST(QuantizeModel, LossesAreSetAgainstThoseOfRoundingToNearest) {
  const TemporaryFolder folder;
  const json gptq = run(request_for(folder / "gptq", "gptq", 3));
  const json rtn = run(request_for(folder / "rtn", "rtn", 3));
  double logarithms = 0;
  for (const json& linear : gptq["linears"]) {
    logarithms += std::log(linear["loss_ratio_to_rtn"].get<double>());
    EXPECT_EQ(linear["skipped_sequences"], 0);
  }
  EXPECT_LT(std::exp(logarithms / 35), 0.75);
  for (const json& linear : rtn["linears"]) EXPECT_FALSE(linear.contains("loss_ratio_to_rtn"));
}

TEST(QuantizeModel, AutomaticTargetsAreReportedPerLinearAndBeatPlainOnes) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "auto", "gptq", 2);
  request.sequences = 25;
  run(request);
  apply_setting(request.recipe, "target.auto=true");
  request.out = folder / "chosen";
  const json report = run(request);
  EXPECT_EQ(report["calibration"]["held_out_sequences"], 2);
  for (const json& linear : report["linears"]) {
    const json& errors = linear["target"]["held_out_error"];
    ASSERT_EQ(errors.size(), 7u);
    const double least = errors[linear["target"]["chosen"].get<std::string>()].get<double>();
    EXPECT_GT(least, 0);
    for (const json& error : errors) EXPECT_LE(least, error.get<double>());
  }
  const std::string summary = quantize_text(parse_run_report(report, "report"));
  EXPECT_NE(summary.find("targets chosen"), std::string::npos);
  EXPECT_LT(evaluate(folder / "chosen")["kl"]["mean"].get<double>(),
            evaluate(folder / "auto")["kl"]["mean"].get<double>());
}

TEST(QuantizeModel, TargetsThatCannotBeAreRefusedBeforeWork) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& recipe, std::vector<std::string> settings,
                           int64_t sequences = 8) {
    QuantizeRequest request = request_for(folder / "out", recipe, 3);
    request.sequences = sequences;
    for (const std::string& setting : settings) apply_setting(request.recipe, setting);
    InterruptingProgress progress;  // work would throw Interrupted instead
    return message_of([&] { quantize_model(request, progress); });
  };
  const auto expect = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(refusal("rtn", {"target.preshift=0.5"}), "need an objective");  // D asked of RTN
  expect(refusal("rtn", {"target.auto=true"}), "need an objective");
  expect(refusal("gptaq", {"target.preshift=0.5"}), "same drift");
  expect(refusal("qep", {"target.auto=true"}), "target.auto chooses");
  expect(refusal("oac-gptq", {"target.auto=true"}), "objective.kind = input only");
  expect(refusal("gptaq", {"target.auto=true", "target.alpha=0", "target.parity=org"}),
         "target.parity");
  expect(refusal("spqr", {"target.alpha=0.25", "target.parity=allw"}), "grid.kind = uniform");
  expect(refusal("gptq", {"target.parity=org"}), "both are 0");
  expect(refusal("gptq", {"target.auto=true"}, 1), "--sequences 1: target.auto");
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(QuantizeModel, SignsAreCountedBothWaysAndBeatThePublishedCodesArithmetic) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "ours", "billm", 1);
  EXPECT_TRUE(run(request)["verified"].get<bool>());
  request.out = folder / "parity";
  apply_setting(request.recipe, "grid.mode=parity");
  run(request);
  const json ours = evaluate(folder / "ours"), parity = evaluate(folder / "parity");
  EXPECT_LT(ours["kl"]["mean"].get<double>(), 0.9 * parity["kl"]["mean"].get<double>());
  EXPECT_GT(ours["bits_per_weight"]["quoted"].get<double>(), 1);
  EXPECT_LT(ours["bits_per_weight"]["quoted"].get<double>(), 1.3);
  EXPECT_GT(ours["bits_per_weight"]["quantized"].get<double>(), 4);  // blocks of 64
}

TEST(QuantizeModel, AnExistingOutputIsRefusedAndUntouched) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out");
  std::ofstream(folder / "out" / "precious.txt") << "mine";
  const std::string message = message_of([&] { run(request_for(folder / "out", "rtn", 4)); });
  EXPECT_NE(message.find("already exists"), std::string::npos) << message;
  EXPECT_EQ(read_file(folder / "out" / "precious.txt"), "mine");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(QuantizeModel, OverwriteReplacesTheWholeFolder) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 3);
  run(request);
  std::ofstream(folder / "out" / "old.txt") << "old";
  request = request_for(folder / "out", "rtn", 4);
  request.overwrite = true;
  run(request);
  EXPECT_FALSE(fs::exists(folder / "out" / "old.txt"));
  EXPECT_TRUE(fs::exists(folder / "out" / "config.json"));
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(QuantizeModel, AFormatThatCannotHoldTheGridIsRefusedBeforeWork) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.format = "compressed-tensors";  // 172 columns, groups of 64
  InterruptingProgress progress;          // work would throw Interrupted instead
  const std::string message = message_of([&] { quantize_model(request, progress); });
  EXPECT_NE(message.find("down_proj"), std::string::npos) << message;
  EXPECT_NE(message.find("native"), std::string::npos) << message;
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(QuantizeModel, OptionsThatExcludeEachOtherAreRefusedBeforeWork) {
  const TemporaryFolder folder;
  InterruptingProgress progress;  // work would throw Interrupted instead
  for (const auto& [recipe, bits] : {std::pair{"billm", 2}, {"gptq", 1}}) {
    const QuantizeRequest request = request_for(folder / "out", recipe, bits);
    const std::string message = message_of([&] { quantize_model(request, progress); });
    EXPECT_NE(message.find("grid.bits: expected"), std::string::npos) << message;
  }
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(QuantizeModel, AQuantizedModelIsNotQuantizedAgain) {
  const TemporaryFolder folder;
  run(request_for(folder / "once", "rtn", 4));
  QuantizeRequest request = request_for(folder / "twice", "rtn", 4);
  request.model = folder / "once";
  EXPECT_NE(message_of([&] { run(request); }).find("quantized already"), std::string::npos);
}

TEST(QuantizeModel, WithoutATextItCalibratesOnItsOwn) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.calibration.clear();
  request.length = 512;
  request.sequences = 8;
  request.check = true;
  const json few = run(request);
  EXPECT_EQ(few["calibration"]["text"], "builtin");
  EXPECT_EQ(few["calibration"]["sequences"], 8);
  EXPECT_EQ(few["check"]["collapsed"], false);
  request.sequences = 1 << 20;  // more than it holds
  request.out = folder / "all";
  const QuantizeJob job(request);
  EXPECT_GT(job.request().sequences, 100);
  EXPECT_LT(job.request().sequences, 2000);
  EXPECT_EQ(job.notes().back().rfind("calibrated on ", 0), 0U) << job.notes().back();
}

TEST(QuantizeModel, CalibrationIsChecked) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.length = 513;
  EXPECT_NE(message_of([&] { run(request); }).find("context is 512"), std::string::npos);
  request = request_for(folder / "out", "gptq", 4);
  request.sequences = 100000;
  EXPECT_NE(message_of([&] { run(request); }).find("windows"), std::string::npos);
  request = request_for(folder / "out", "gptq", 4);
  std::ofstream(folder / "empty.txt");
  request.calibration = {{.file = folder / "empty.txt"}};
  EXPECT_NE(message_of([&] { run(request); }).find("empty"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(QuantizeModel, SequencesLongerThanTheContextAreRefused) {
  const TemporaryFolder folder;
  for (const char* recipe : {"gptq", "oac-gptq", "guided"}) {
    QuantizeRequest request = request_for(folder / "out", recipe, 4);
    request.length = 513;
    InterruptingProgress progress;  // work would throw Interrupted instead
    const std::string message = message_of([&] { quantize_model(request, progress); });
    EXPECT_NE(message.find("context is 512"), std::string::npos) << message;
  }
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(QuantizeModel, ATextShorterThanTheRequestIsRefused) {
  const TemporaryFolder folder;
  std::ofstream(folder / "short.txt") << "Once upon a time there was a cat.";
  for (const char* recipe : {"gptq", "oac-gptq", "guided"}) {
    QuantizeRequest request = request_for(folder / "out", recipe, 4);
    request.calibration = {{.file = folder / "short.txt"}};
    InterruptingProgress progress;  // work would throw Interrupted instead
    const std::string message = message_of([&] { quantize_model(request, progress); });
    EXPECT_NE(message.find("short.txt"), std::string::npos) << message;
    EXPECT_NE(message.find("windows"), std::string::npos) << message;
  }
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(QuantizeModel, ActivationOrderWithoutAnObjectiveIsRefused) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 4);
  apply_setting(request.recipe, "order.kind=activation");
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("order.kind: activation"), std::string::npos) << message;
  EXPECT_EQ(entries(folder.path()), 0u);
}

// The demo model with a head of its own and one token whose inputs of the first block overflow: in
// a channel that no other token uses and no linear reads, times a huge norm weight.
fs::path model_with_a_bad_token(const TemporaryFolder& folder, int64_t token) {
  const fs::path path = folder / "bad_token";
  fs::copy(example("stories260K"), path, fs::copy_options::recursive);
  const Checkpoint source(example("stories260K"));
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : source.names()) tensors[name] = source.load(name).clone();
  constexpr int64_t kChannel = 5;
  at::Tensor& embedding = tensors["model.embed_tokens.weight"];
  tensors["lm_head.weight"] = embedding.clone();
  embedding.select(1, kChannel).zero_();
  embedding[token][kChannel].fill_(1e3);
  tensors["model.layers.0.input_layernorm.weight"][kChannel].fill_(3e38);
  for (const char* linear : {"q_proj", "k_proj", "v_proj"})
    tensors[fmt::format("model.layers.0.self_attn.{}.weight", linear)].select(1, kChannel).zero_();
  fs::permissions(path / "model.safetensors", fs::perms::owner_all);
  write_safetensors(path / "model.safetensors", tensors, {{"format", "pt"}});
  json config = json::parse(read_file(path / "config.json"));
  config["tie_word_embeddings"] = false;
  fs::permissions(path / "config.json", fs::perms::owner_all);
  std::ofstream(path / "config.json") << config.dump();
  return path;
}

TEST(QuantizeModel, SequencesWhoseGradientsAreNotNumbersAreSkippedAndReported) {
  constexpr int32_t kBadToken = 400;
  const TemporaryFolder folder;
  // a text of ordinary tokens, and the bad one at a place that one of the windows covers
  QuantizeRequest request = request_for(folder / "out", "oac-gptq", 4);
  request.sequences = 120;
  request.length = 16;
  // libtorch's bfloat16 product over 172 columns lets a NaN reach the rows beside it
  request.compute = Compute::kFloat32;
  Corpus corpus;
  for (int32_t i = 0; i < 40000; ++i) corpus.ids.push_back(3 + i % 300);
  std::vector<int> windows_at(corpus.ids.size());
  Corpus places;  // its ids are their own places
  for (int32_t i = 0; i < 40000; ++i) places.ids.push_back(i);
  const TokenWindows windows = random_windows(places, 120, 16, request.seed);
  for (const int32_t place : windows.ids) ++windows_at[static_cast<size_t>(place)];
  const auto once = std::find(windows_at.begin(), windows_at.end(), 1) - windows_at.begin();
  corpus.ids[static_cast<size_t>(once)] = kBadToken;
  const auto bytes = std::as_bytes(std::span(corpus.ids));
  std::ofstream(folder / "text.tokens", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  request.model = model_with_a_bad_token(folder, kBadToken);
  request.calibration = {{.file = folder / "text.tokens"}};
  for (const char* recipe : {"oac-gptq", "guided", "gptq"}) {
    request.recipe = recipe_named(recipe, 4);
    request.out = folder / recipe;
    const json report = run(request);
    EXPECT_TRUE(report["verified"].get<bool>());
    EXPECT_EQ(report["calibration"]["dropped_sequences"], 1) << recipe;
    for (const json& linear : report["linears"])
      EXPECT_EQ(linear["skipped_sequences"], 1) << recipe;
  }
}

// The demo model with one weight changed, in a folder of its own.
fs::path spoiled_model(const TemporaryFolder& folder, float value) {
  const fs::path path = folder / "spoiled";
  fs::copy(example("stories260K"), path, fs::copy_options::recursive);
  const Checkpoint source(example("stories260K"));
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : source.names()) tensors[name] = source.load(name).clone();
  tensors["model.layers.1.mlp.up_proj.weight"].view(-1)[17].fill_(value);
  fs::permissions(path / "model.safetensors", fs::perms::owner_all);
  write_safetensors(path / "model.safetensors", tensors, {{"format", "pt"}});
  return path;
}

// The demo model in another type, one linear's weights made small.
fs::path model_with_small_weights(const TemporaryFolder& folder, double factor,
                                  at::ScalarType dtype) {
  const fs::path path = folder / "small";
  fs::copy(example("stories260K"), path, fs::copy_options::recursive);
  const Checkpoint source(example("stories260K"));
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : source.names()) tensors[name] = source.load(name).clone();
  tensors["model.layers.1.self_attn.q_proj.weight"].mul_(factor);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
  fs::permissions(path / "model.safetensors", fs::perms::owner_all);
  write_safetensors(path / "model.safetensors", tensors, {{"format", "pt"}});
  return path;
}

TEST(QuantizeModel, SmallWeightsAreHeldAsFarAsTheFormatGoesAndReportedBeyond) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 8);
  request.overwrite = true;
  for (const char* setting : {"grid.symmetric=true", "grid.group_size=0"})
    apply_setting(request.recipe, setting);
  const auto row = [&](double factor, at::ScalarType dtype, const std::string& format) -> json {
    fs::remove_all(folder / "small");
    request.model = model_with_small_weights(folder, factor, dtype);
    request.format = format;
    const json report = run(request);
    EXPECT_TRUE(report["verified"].get<bool>());
    for (const json& linear : report["linears"])
      if (linear["name"] == "model.layers.1.self_attn.q_proj") return linear;
    return {};
  };
  const double usual = row(1, at::kFloat, "native")["relative_error"];
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const char* format : {"native", "compressed-tensors", "dense"})
      for (const double factor : {1e-1, 3e-4, 1e-9}) {
        const bool float16 = dtype == at::kHalf;
        if (float16 && factor == 1e-9) continue;  // the weights themselves are lost
        const json found = row(factor, dtype, format);
        const bool enough =
            !float16 || factor == 1e-1 || std::string(format) != "compressed-tensors";
        EXPECT_EQ(found["fallback"].get<std::string>().empty(), enough) << format << factor;
        if (enough) {
          EXPECT_NEAR(found["relative_error"].get<double>(), usual, 0.3 * usual);
        }
      }
}

TEST(QuantizeModel, AModelWhoseLossIsNotANumberIsAnErrorThatLeavesNothing) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "oac-gptq", 4);
  request.model = spoiled_model(folder, 3e38f);  // finite, its products are not
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("gradients of 8 of 8 calibration sequences are not finite"),
            std::string::npos)
      << message;
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(QuantizeModel, RulesGiveSingleLinearsOtherBits) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 3);
  request.recipe.rules.push_back({"model.layers.*.mlp.down_proj", {{"grid.bits", "6"}}});
  const json report = run(request);
  for (const json& linear : report["linears"]) {
    const bool down = linear["name"].get<std::string>().ends_with("down_proj");
    EXPECT_GT(linear["bits_per_weight"].get<double>(), down ? 6 : 3);
    EXPECT_LT(linear["bits_per_weight"].get<double>(), down ? 7 : 4);
  }
}

TEST(GoldenQuantizeModel, GptqVersionOneKeepsItsZerosAwayFromZero) {
  HALFTONE_REQUIRE_SHARED("models/babyllama_tok105/hf");
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 4);
  request.model = ::halftone::testing::shared_data("models/babyllama_tok105/hf");
  apply_setting(request.recipe, "grid.group_size=32");
  request.format = "gptq";
  const json report = run(request);
  EXPECT_NE(report["recipe"]["toml"].get<std::string>().find("zero_min = 1"), std::string::npos);
  EXPECT_TRUE(report["verified"].get<bool>());
}

}  // namespace
}  // namespace halftone
