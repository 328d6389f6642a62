// Every family's zoo model quantized, evaluated and converted. A family is a row of support/zoo.h.
#include "support/zoo.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "checkpoint/safetensors.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/model_tokenizer.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::ZooModel;

constexpr int64_t kLength = 192;        // tokens a sequence: longer than the zoo's windows
constexpr double kSameFunction = 1e-9;  // nats a token, of float32 against float32

class GoldenZooRun : public ::testing::TestWithParam<ZooModel> {
 protected:
  void SetUp() override { HALFTONE_REQUIRE_SHARED("models/zoo"); }

  QuantizeRequest request(const fs::path& out, const std::string& recipe,
                          const std::string& format) const {
    QuantizeRequest request = testing::request_for(out, recipe, 4);
    request.model = GetParam().folder();
    apply_setting(request.recipe, "grid.group_size=32");  // which every width is a multiple of
    request.length = kLength;
    request.sequences = 16;
    request.format = format;
    return request;
  }

  double divergence(const fs::path& model) const {
    EvaluateRequest request;
    request.model = model;
    request.reference = GetParam().folder();
    request.texts = {shared_data("golden/zoo/heldout_tinystories.txt")};
    request.length = kLength;
    request.windows = 8;
    request.threads = 2;
    SilentProgress progress;
    return evaluate_model(request, progress)["kl"]["mean"].get<double>();
  }

  const TemporaryFolder folder_;
};

TEST_P(GoldenZooRun, TokensAreThoseOfItsTokenizer) {
  const auto tokenizer = open_model_tokenizer(GetParam().folder());
  const std::string text = read_file(shared_data("golden/zoo/heldout_tinystories.txt"));
  const std::vector<TokenId> ids = tokenizer->encode(text, false);
  const SafetensorsFile golden(GetParam().golden());
  const auto expect_same = [&](const char* name, int64_t first, int64_t skipped) {
    const at::Tensor expected = golden.view(*golden.find(name));
    const auto* to = expected.const_data_ptr<int32_t>();
    const auto from = ids.begin() + static_cast<ptrdiff_t>(first);
    EXPECT_TRUE(std::equal(to + skipped, to + expected.numel(), from)) << name;
  };
  expect_same("w96.ids", 0, 1);  // behind BOS
  expect_same("w200.ids", 1000, 0);
}

TEST_P(GoldenZooRun, GptqBeatsRoundToNearestAtFourBits) {
  EXPECT_EQ(testing::run(request(folder_ / "rtn", "rtn", "compressed-tensors"))["verified"], true);
  EXPECT_EQ(testing::run(request(folder_ / "gptq", "gptq", "gptq"))["verified"], true);
  const double rtn = divergence(folder_ / "rtn"), gptq = divergence(folder_ / "gptq");
  EXPECT_GT(gptq, 0);
  EXPECT_LT(gptq, rtn);
}

TEST_P(GoldenZooRun, GradientsReachEveryLinear) {
  QuantizeRequest guided = request(folder_ / "out", "guided", "native");
  guided.sequences = 4;
  const json report = testing::run(guided);
  EXPECT_EQ(report["verified"], true);
  for (const json& linear : report["linears"]) {
    if (linear.value("tokens", 1) == 0) continue;  // of an expert
    EXPECT_EQ(linear["fallback"], "") << linear["name"];
  }
}

TEST_P(GoldenZooRun, RotationIsRefusedWithTheReasonOrKeepsTheLogits) {
  QuantizeRequest rotated = request(folder_ / "out", "rtn", "native");
  apply_setting(rotated.recipe, "transform.rotation=quarot");
  apply_setting(rotated.recipe, "grid.bits=8");
  if (!GetParam().rotates) {
    const std::string message = testing::message_of([&] { (void)testing::run(rotated); });
    EXPECT_NE(message.find("transform.rotation"), std::string::npos) << message;
    return;
  }
  testing::run(rotated);
  EXPECT_LT(divergence(folder_ / "out"), 1e-3);
}

TEST_P(GoldenZooRun, GgufFilesAreTheSameModel) {
  SilentProgress progress;
  const ConvertRequest request{
      .model = GetParam().folder(), .out = folder_ / "model.gguf", .format = "gguf"};
  if (!GetParam().gguf) {
    EXPECT_NE(testing::message_of([&] { (void)convert_model(request, progress); }).find("GGUF"),
              std::string::npos);
    return;
  }
  convert_model(request, progress);
  EXPECT_LT(divergence(request.out), kSameFunction);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenZooRun, ::testing::ValuesIn(testing::zoo_models()),
                         testing::zoo_name);

}  // namespace
}  // namespace halftone
