// transform.online from the command to the file and back, on the demo model (down_proj: 172 = 43 x
// 4 inputs, a random orthogonal factor).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "pipeline/convert_model.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/quantize_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

constexpr double kSameFunction = 1e-5;  // of a KL to the original near 0.1

fs::path example(const std::string& name) {
  return fs::path(HALFTONE_SOURCE_DIR) / "examples" / name;
}

QuantizeRequest request_for(const fs::path& out, const std::string& format) {
  QuantizeRequest request;
  request.model = example("stories260K");
  request.out = out;
  request.recipe = parse_recipe(
      "grid.bits = 3\ngrid.group_size = 43\n"
      "transform.rotation = \"quarot\"\ntransform.online = true",
      "online");
  request.calibration = {{.file = example("tinystories-calibration.txt")}};
  request.sequences = 8;
  request.length = 256;
  request.format = format;
  request.threads = 2;
  return request;
}

json run(const QuantizeRequest& request) {
  SilentProgress progress;
  return quantize_model(request, progress);
}

void convert(const fs::path& model, const fs::path& out, const std::string& format) {
  ConvertRequest request;
  request.model = model;
  request.out = out;
  request.format = format;
  SilentProgress progress;
  (void)convert_model(request, progress);
}

double divergence(const fs::path& model) {
  EvaluateRequest request;
  request.model = model;
  request.reference = example("stories260K");
  request.texts = {example("tinystories-evaluation.txt")};
  request.length = 256;
  request.windows = 8;
  request.threads = 2;
  SilentProgress progress;
  return evaluate_model(request, progress)["kl"]["mean"].get<double>();
}

json config_of(const fs::path& folder) {
  return json::parse(read_file(folder / "config.json"));
}

TEST(OnlineRotation, NativeRotatesAsItRunsAndDenseComputesTheSameWithout) {
  const TemporaryFolder folder;
  EXPECT_TRUE(run(request_for(folder / "native", "native"))["verified"].get<bool>());
  EXPECT_TRUE(run(request_for(folder / "dense", "dense"))["verified"].get<bool>());
  EXPECT_TRUE(config_of(folder / "native")["quantization_config"].contains("online_rotation"));
  EXPECT_FALSE(config_of(folder / "dense").contains("quantization_config"));
  const double native = divergence(folder / "native");
  EXPECT_GT(native, 0.01);
  EXPECT_LT(native, 1);
  EXPECT_NEAR(divergence(folder / "dense"), native, kSameFunction);
}

TEST(OnlineRotation, ANativeFolderIsAnotherFunctionWithoutIt) {
  const TemporaryFolder folder;
  run(request_for(folder / "native", "native"));
  json config = config_of(folder / "native");
  const double rotated = divergence(folder / "native");
  config["quantization_config"].erase("online_rotation");
  write_file_atomically(folder / "native" / "config.json", config.dump());
  EXPECT_GT(divergence(folder / "native"), 10 * rotated);
}

TEST(OnlineRotation, ConvertsToDenseAndBackToNothingElse) {
  const TemporaryFolder folder;
  run(request_for(folder / "native", "native"));
  convert(folder / "native", folder / "again", "native");
  convert(folder / "native", folder / "dense", "dense");
  const double native = divergence(folder / "native");
  EXPECT_EQ(divergence(folder / "again"), native);
  EXPECT_NEAR(divergence(folder / "dense"), native, kSameFunction);
  const std::string message =
      message_of([&] { convert(folder / "native", folder / "gptq", "gptq_v2"); });
  EXPECT_NE(message.find("rotated as the model runs"), std::string::npos) << message;
}

TEST(OnlineRotation, IsRefusedByFormatsOfOtherEnginesWithTheLinearAndTheReason) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "compressed-tensors");
  apply_setting(request.recipe, "grid.group_size=0");
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("down_proj: inputs rotated as the model runs"), std::string::npos)
      << message;
  EXPECT_NE(message.find("formats that can hold this: native, dense"), std::string::npos)
      << message;
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(OnlineRotation, GradientsArriveAtTheRotatedInputs) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "native");
  apply_setting(request.recipe, "objective.kind=oac");
  const json report = run(request);
  for (const json& linear : report["linears"]) EXPECT_EQ(linear["fallback"], "");
  EXPECT_LT(divergence(folder / "out"), 1);
}

TEST(OnlineRotation, NeedsTheRotation) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "native");
  apply_setting(request.recipe, "transform.rotation=none");
  EXPECT_NE(message_of([&] { run(request); }).find("expected rotation = quarot"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
