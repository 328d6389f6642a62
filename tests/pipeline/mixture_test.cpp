// Mixtures of experts quantized: what is theirs alone (the rest: zoo_test.cpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/interrupted_run.h"
#include "support/zoo.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::ZooModel;

class GoldenMixtureRun : public ::testing::TestWithParam<ZooModel> {
 protected:
  void SetUp() override { HALFTONE_REQUIRE_SHARED("models/zoo"); }

  QuantizeRequest request(const fs::path& out, const std::string& recipe, int bits) const {
    QuantizeRequest request = testing::request_for(out, recipe, bits);
    request.model = GetParam().folder();
    apply_setting(request.recipe, "grid.group_size=32");
    request.length = 192;
    request.sequences = 16;
    return request;
  }

  double divergence(const fs::path& model) const {
    EvaluateRequest request;
    request.model = model;
    request.reference = GetParam().folder();
    request.texts = {shared_data("golden/zoo/heldout_tinystories.txt")};
    request.length = 192;
    request.windows = 8;
    request.threads = 2;
    SilentProgress progress;
    return evaluate_model(request, progress)["kl"]["mean"].get<double>();
  }

  const TemporaryFolder folder_;
};

bool is_of_expert(const json& linear) {
  return linear["name"].get<std::string>().find(".experts.") != std::string::npos;
}

TEST_P(GoldenMixtureRun, GptqBeatsRoundToNearestAtThreeBits) {
  testing::run(request(folder_ / "rtn", "rtn", 3));
  testing::run(request(folder_ / "gptq", "gptq", 3));
  EXPECT_LT(divergence(folder_ / "gptq"), divergence(folder_ / "rtn"));
}

TEST_P(GoldenMixtureRun, EveryExpertsTokensAreInTheReport) {
  const json report = testing::run(request(folder_ / "out", "gptq", 4));
  std::map<std::string, int64_t> tokens;  // of a block's down projections
  for (const json& linear : report["linears"]) {
    EXPECT_EQ(linear.contains("tokens"), is_of_expert(linear)) << linear["name"];
    const auto name = linear["name"].get<std::string>();
    if (is_of_expert(linear) && (name.ends_with("down_proj") || name.ends_with("w2")))
      tokens[name.substr(0, name.find(".experts."))] += linear["tokens"].get<int64_t>();
  }
  ASSERT_EQ(tokens.size(), 3u);
  for (const auto& [block, count] : tokens) EXPECT_EQ(count, 2 * 16 * 192) << block;
}

TEST_P(GoldenMixtureRun, ExpertsWithoutTokensAreNamedAndRoundedToNearest) {
  QuantizeRequest few = request(folder_ / "out", "gptq", 4);
  few.sequences = 1;
  few.length = 2;  // two tokens of two experts each at most
  apply_setting(few.recipe, "objective.first_token=1");
  const json report = testing::run(few);
  EXPECT_EQ(report["verified"], true);
  std::set<std::string> unreached;
  for (const json& linear : report["linears"]) {
    if (linear.value("tokens", 1) > 0) continue;
    EXPECT_NE(linear["fallback"].get<std::string>().find("no token"), std::string::npos);
    const auto name = linear["name"].get<std::string>();
    unreached.insert(name.substr(0, name.rfind('.')));
  }
  if (unreached.empty()) GTEST_SKIP() << "two tokens reach all experts of this model";
  for (const std::string& expert : unreached)
    EXPECT_NE(report["notes"].dump().find(expert), std::string::npos) << expert;
}

TEST_P(GoldenMixtureRun, OnlineRotationIsRefusedWithTheReason) {
  QuantizeRequest rotated = request(folder_ / "out", "rtn", 4);
  apply_setting(rotated.recipe, "transform.rotation=quarot");
  apply_setting(rotated.recipe, "transform.online=true");
  EXPECT_NE(testing::message_of([&] { (void)testing::run(rotated); }).find("transform.online"),
            std::string::npos);
}

TEST_P(GoldenMixtureRun, EveryRecipeRuns) {
  if (GetParam().name != std::string("qwen2_moe")) return;  // which has a shared expert as well
  for (const auto& [name, toml] : builtin_recipes()) {
    QuantizeRequest one = request(folder_ / name, name, name.ends_with("billm") ? 1 : 3);
    one.sequences = 5;
    one.length = 64;
    if (name == "trellis") apply_setting(one.recipe, "grid.group_size=0");  // a scale a row
    EXPECT_EQ(testing::run(one)["verified"], true) << name;
  }
}

TEST_P(GoldenMixtureRun, ATargetThatIsChosenHasHeldOutTokens) {
  QuantizeRequest chosen = request(folder_ / "out", "gptq", 3);
  apply_setting(chosen.recipe, "target.auto=true");
  for (const json& linear : testing::run(chosen)["linears"])
    EXPECT_TRUE(linear.contains("target")) << linear["name"];
}

TEST_P(GoldenMixtureRun, AnInterruptedRunGoesOnToTheSameBytes) {
  for (const char* recipe : {"gptq", "qep", "guided"}) {
    const fs::path once = folder_ / (std::string(recipe) + "-once"),
                   twice = folder_ / (std::string(recipe) + "-twice");
    QuantizeRequest whole = request(once, recipe, 3), parts = request(twice, recipe, 3);
    whole.sequences = parts.sequences = 4;
    const auto linears = static_cast<int64_t>(testing::run(whole)["linears"].size());
    testing::interrupt(parts, linears / 2);  // in the second of three blocks
    testing::resume_run(parts, linears - linears / 3);
    EXPECT_EQ(testing::contents(once), testing::contents(twice)) << recipe;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenMixtureRun, ::testing::ValuesIn(testing::zoo_mixtures()),
                         testing::zoo_name);

}  // namespace
}  // namespace halftone
