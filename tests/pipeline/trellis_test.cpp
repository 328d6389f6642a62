// The trellis recipe through a whole run on the demo model, whose MLP has no whole tiles (172
// columns) and keeps a uniform grid.
#include <gtest/gtest.h>

#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/inspect.h"
#include "pipeline/interrupted_run.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::entries;
using ::halftone::testing::interrupt;
using ::halftone::testing::kLinearsOfBlock;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::resume_run;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

constexpr const char* kMlpRule = R"(
[[rule]]
match = "*.mlp.*"
grid.kind = "uniform"
grid.bits = 3
grid.symmetric = false
)";

QuantizeRequest trellis_request(const fs::path& out) {
  QuantizeRequest request = request_for(out, "gptq", 3);
  for (const auto& [name, toml] : builtin_recipes())
    if (name == "trellis") request.recipe = parse_recipe(std::string(toml) + kMlpRule, "trellis");
  apply_setting(request.recipe, "grid.state_bits=8");
  return request;
}

TEST(TrellisRun, IsVerifiedAndCountsItsBits) {
  const TemporaryFolder folder;
  const json report = run(trellis_request(folder / "out"));
  EXPECT_TRUE(report["verified"].get<bool>());
  for (const json& linear : report["linears"]) {
    EXPECT_EQ(linear["fallback"], "") << linear["name"];
    if (linear["name"].get<std::string>().ends_with("q_proj")) {  // 64 by 64
      EXPECT_DOUBLE_EQ(linear["bits_per_weight"].get<double>(), 2 + 16 / 64.0 + 2 / 64.0);
    }
  }
  const json inspected = inspect_path(folder / "out", /*with_tensors=*/false);
  EXPECT_EQ(inspected["format"], "native");
}

TEST(TrellisRun, TheFolderAndItsDenseConversionScoreAlike) {
  const TemporaryFolder folder;
  run(trellis_request(folder / "out"));
  SilentProgress progress;
  convert_model(
      {.model = folder / "out", .out = folder / "dense", .format = "dense", .overwrite = false},
      progress);
  const auto scored = [&](const char* name) {
    EvaluateRequest request;
    request.model = folder / name;
    request.texts = {testing::example("tinystories-evaluation.txt")};
    request.length = 64;
    request.windows = 4;
    return evaluate_model(request, progress)["perplexity"];
  };
  EXPECT_EQ(scored("out"), scored("dense"));  // the model is in float32
}

TEST(TrellisRun, ResumesToTheSameBytes) {
  const TemporaryFolder folder;
  run(trellis_request(folder / "whole"));
  interrupt(trellis_request(folder / "out"), 17);  // in the third block
  const json report = resume_run(trellis_request(folder / "out"), 35 - 2 * kLinearsOfBlock);
  EXPECT_TRUE(report["verified"].get<bool>());
  EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
  EXPECT_EQ(entries(folder.path()), 2u);
}

TEST(TrellisRun, ModelsWithoutWholeTilesAreRefusedByName) {
  const TemporaryFolder folder;
  QuantizeRequest request = trellis_request(folder / "out");
  request.recipe = testing::recipe_named("trellis", 2);
  apply_setting(request.recipe, "grid.group_size=0");
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("mlp"), std::string::npos) << message;
  EXPECT_NE(message.find("multiples of 16, not 172 by 64"), std::string::npos) << message;
}

}  // namespace
}  // namespace halftone
