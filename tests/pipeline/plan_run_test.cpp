// What a plan says of a run, against the run.
#include "pipeline/plan_run.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipeline/demo_request.h"
#include "pipeline/filled_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::filled_up;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

constexpr double kExact = 1e-3;  // of bytes: what is not in proportion with rows and columns
constexpr double kClose = 0.02;  // of them, where outliers or salient columns are the weights' own

struct Case {
  std::string recipe;
  int bits;
  std::string format;
  std::vector<std::string> settings = {};
  std::string type = {};
  std::string embedding = {};
};

// Over a model whose widths are multiples of 64.
class PlanRun : public ::testing::Test {
 protected:
  QuantizeRequest request_of(const Case& each, const fs::path& out) const {
    QuantizeRequest request = request_for(out, each.recipe, each.bits);
    request.model = model_;
    for (const std::string& setting : each.settings) apply_setting(request.recipe, setting);
    request.format = each.format;
    request.type = each.type;
    request.embedding_type = each.embedding;
    request.sequences = 8;
    request.length = 64;
    return request;
  }

  const TemporaryFolder folder_;
  const fs::path model_ = filled_up(folder_ / "model");
};

TEST_F(PlanRun, SizesAreThoseOfTheFilesThatTheRunThenWrites) {
  const std::vector<Case> cases = {
      {"gptq", 4, "compressed-tensors", {"grid.group_size=32"}},
      {"gptq", 4, "compressed-tensors", {"grid.group_size=32"}, "", "8"},
      {"gptq", 3, "gptq_v2", {"grid.group_size=16"}},
      {"halftone", 4, "native", {"grid.group_size=16"}},
      {"trellis", 2, "native", {"grid.group_size=0", "grid.state_bits=8"}},
      {"trellis", 2, "native", {"grid.group_size=0", "grid.state_bits=8"}, "", "4"},
      {"rtn", 4, "dense", {"grid.group_size=32"}},
      {"halftone-tied", 4, "gguf", {}, "Q4_0"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].recipe + " " + cases[i].format);
    const fs::path out = folder_ / (std::to_string(i) + (cases[i].type.empty() ? "" : ".gguf"));
    const QuantizeRequest request = request_of(cases[i], out);
    const json plan = plan_run(request), report = run(request);
    const double bytes = report.at("bytes").get<double>();
    EXPECT_NEAR(plan.at("bytes").get<double>() / bytes, 1, kExact);
    EXPECT_NEAR(plan.at("bits_per_weight").at("model").get<double>(),
                report.at("bits_per_weight").at("model").get<double>(), 0.01);
  }
}

TEST_F(PlanRun, SizesThatDependOnTheWeightsAreClose) {
  const std::vector<Case> cases = {
      {"qep-spqr", 3, "native", {"grid.group_size=16", "outliers.rate=0.02"}},
      {"billm", 1, "native", {"grid.group_size=32"}}};
  for (const Case& each : cases) {
    const QuantizeRequest request = request_of(each, folder_ / each.recipe);
    const json plan = plan_run(request), report = run(request);
    EXPECT_NEAR(plan.at("bytes").get<double>() / report.at("bytes").get<double>(), 1, kClose);
  }
}

TEST_F(PlanRun, ConfigAloneSaysWhatTheModelSays) {
  fs::create_directory(folder_ / "described");
  fs::copy(model_ / "config.json", folder_ / "described");
  QuantizeRequest request = request_of({"gptq", 3, "native", {"grid.group_size=16"}}, "");
  const json whole = plan_run(request);
  request.model = folder_ / "described";
  json described = plan_run(request);
  EXPECT_EQ(described.at("tensors"), whole.at("tensors"));
  EXPECT_EQ(described.at("bits_per_weight"), whole.at("bits_per_weight"));
  EXPECT_NE(described.at("notes").dump().find("planned from config.json alone"), std::string::npos);
}

TEST_F(PlanRun, NamesTheEnginesThatLoadTheOutput) {
  const auto loading = [this](const Case& each) {
    std::string names;
    const PlanReport plan = plan_run(request_of(each, ""));
    for (const auto& engine : plan.engines)
      if (engine.refusal.empty()) names += engine.name + " ";
    return names;
  };
  EXPECT_EQ(loading({"gptq", 4, "compressed-tensors", {"grid.group_size=32"}}),
            "transformers vLLM ");
  EXPECT_EQ(loading({"gptq", 2, "compressed-tensors", {"grid.group_size=32"}}), "transformers ");
  EXPECT_EQ(loading({"gptq", 4, "gptq", {"grid.group_size=32", "grid.symmetric=true"}}),
            "vLLM GPTQModel ");
  EXPECT_EQ(loading({"halftone-tied", 4, "gguf", {}, "Q4_0"}), "llama.cpp ");
  EXPECT_EQ(loading({"trellis", 2, "native", {"grid.group_size=0", "grid.state_bits=8"}}), "");
}

TEST_F(PlanRun, SaysWhatWouldMendARunThatDoesNotFit) {
  QuantizeRequest request =
      request_of({"trellis", 2, "native", {"grid.group_size=0", "grid.state_bits=8"}}, "");
  request.sequences = kMostSequences;
  const PlanReport plan = plan_run(request);
  ASSERT_EQ(plan.problems.size(), 2U);
  EXPECT_NE(plan.problems[0].find("fewer --sequences"), std::string::npos) << plan.problems[0];
  EXPECT_NE(plan.problems[1].find("convert --format dense"), std::string::npos) << plan.problems[1];
}

TEST_F(PlanRun, NeedsNeitherATextNorAPlace) {
  QuantizeRequest request = request_of({"gptq", 3, "native", {"grid.group_size=16"}}, "");
  request.calibration.clear();
  const json plan = plan_run(request);
  EXPECT_FALSE(plan.contains("disk"));
  EXPECT_GT(plan.at("seconds").get<double>(), 0);
  EXPECT_NE(plan.at("notes").dump().find("comes with the program"), std::string::npos);
}

TEST_F(PlanRun, RefusesWhatTheRunWouldRefuse) {
  const QuantizeRequest request = request_of({"billm", 1, "gguf"}, "");
  EXPECT_NE(message_of([&] { plan_run(request); }).find("formats that can hold this"),
            std::string::npos);
}

TEST_F(PlanRun, MoreTokensStreamsAndGradientsTakeMore) {
  const auto peak = [this](const std::string& recipe, int64_t sequences) {
    QuantizeRequest request = request_of({recipe, 3, "native", {"grid.group_size=16"}}, "");
    request.sequences = sequences;
    return plan_run(request).peak_bytes();
  };
  EXPECT_GT(peak("gptq", 4096), peak("gptq", 8));
  EXPECT_GT(peak("halftone", 4096), peak("gptq", 4096));
  EXPECT_GT(peak("guided", 4096), peak("gptq", 4096));
}

}  // namespace
}  // namespace halftone
