// Vision transformers from folder to quantized folder to accuracy.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/generate_text.h"
#include "support/vision_zoo.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::cifar_images;
using testing::message_of;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::VisionModel;
using testing::write_cifar;

constexpr double kAccuracyTolerance = 0.001;  // of transformers' top-1 on 2000 images

class GoldenVisionRun : public ::testing::TestWithParam<VisionModel> {
 protected:
  void SetUp() override {
    HALFTONE_REQUIRE_SHARED("models/zoo");
    write_cifar(folder_ / "calibration.bin", 0, 256);
    write_cifar(folder_ / "evaluation.bin", 512, 512);
  }

  QuantizeRequest request(const fs::path& out, const std::string& recipe, int bits) const {
    QuantizeRequest request = testing::request_for(out, recipe, bits);
    request.model = GetParam().folder();
    apply_setting(request.recipe, "grid.group_size=0");
    request.calibration = {{.file = folder_ / "calibration.bin"}};
    request.sequences = 200;
    request.length = 0;
    return request;
  }

  json evaluation(const fs::path& model, const fs::path& images, bool referred) const {
    EvaluateRequest request;
    request.model = model;
    if (referred) request.reference = GetParam().folder();
    request.images = images;
    request.threads = 2;
    SilentProgress progress;
    return evaluate_model(request, progress);
  }

  const TemporaryFolder folder_;
};

TEST_P(GoldenVisionRun, AccuracyIsTransformers) {
  const json found = evaluation(GetParam().folder(), cifar_images(), false);
  EXPECT_NEAR(found["accuracy"]["value"].get<double>(), GetParam().accuracy, kAccuracyTolerance);
  EXPECT_GT(found["accuracy"]["stderr"].get<double>(), 0.01);
  EXPECT_EQ(found["protocol"]["images"], 2000);
}

TEST_P(GoldenVisionRun, GptqBeatsRoundToNearestAtThreeBits) {
  QuantizeRequest checked = request(folder_ / "gptq", "gptq", 3);
  checked.check = true;
  const json report = testing::run(checked);
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report["check"]["images"], 56);  // of 256, 200 were drawn
  EXPECT_EQ(report["calibration"]["sequences"], 200);
  testing::run(request(folder_ / "rtn", "rtn", 3));
  const json gptq = evaluation(folder_ / "gptq", folder_ / "evaluation.bin", true),
             rtn = evaluation(folder_ / "rtn", folder_ / "evaluation.bin", true);
  EXPECT_LT(gptq["kl"]["mean"].get<double>(), rtn["kl"]["mean"].get<double>());
  EXPECT_GT(gptq["top1"]["value"].get<double>(), 0.5);
  EXPECT_TRUE(fs::exists(folder_ / "gptq/preprocessor_config.json"));
}

TEST_P(GoldenVisionRun, EveryMethodAndGroupedFoldersAreWritten) {
  for (const char* recipe : {"gptaq", "rescomp", "guided", "oac"}) {
    QuantizeRequest asked = request(folder_ / recipe, recipe, 4);
    apply_setting(asked.recipe, "grid.group_size=32");
    asked.sequences = 64;
    const json report = testing::run(asked);
    EXPECT_EQ(report["verified"], true) << recipe;
    for (const json& linear : report["linears"]) EXPECT_EQ(linear["fallback"], "") << recipe;
  }
}

TEST_P(GoldenVisionRun, CompressedTensorsNamesEveryClassifierAsUnquantized) {
  QuantizeRequest asked = request(folder_ / "out", "rtn", 4);
  asked.format = "compressed-tensors";
  testing::run(asked);
  const json config = json::parse(read_file(folder_ / "out/config.json"));
  const json& ignored = config["quantization_config"]["ignore"];
  for (const char* name : {"classifier", "cls_classifier", "distillation_classifier"}) {
    const bool stored =
        read_file(folder_ / "out/model.safetensors").find(fmt::format("\"{}.weight\"", name)) !=
        std::string::npos;
    const bool named = std::find(ignored.begin(), ignored.end(), name) != ignored.end();
    EXPECT_EQ(named, stored) << name;
  }
}

TEST_P(GoldenVisionRun, WhatIsOfTextIsRefused) {
  SilentProgress progress;
  EvaluateRequest text;
  text.model = GetParam().folder();
  text.texts = {testing::example("tinystories-evaluation.txt")};
  EXPECT_NE(
      message_of([&] { (void)evaluate_model(text, progress); }).find("reads images, not text"),
      std::string::npos);
  GenerateRequest generate;
  generate.model = GetParam().folder();
  generate.prompt = "once";
  EXPECT_NE(message_of([&] {
              (void)generate_text(generate, progress, {}, {});
            }).find("reads images, not text"),
            std::string::npos);
  EvaluateRequest images;
  images.model = testing::example("stories260K");
  images.images = cifar_images();
  EXPECT_NE(message_of([&] {
              (void)evaluate_model(images, progress);
            }).find("LlamaForCausalLM reads text, not images"),
            std::string::npos);
  std::swap(images.model, text.model);
  images.reference = text.model;
  EXPECT_NE(message_of([&] {
              (void)evaluate_model(images, progress);
            }).find("the reference reads text, the model images of 32 x 32"),
            std::string::npos);
}

TEST_P(GoldenVisionRun, RequestsThatCannotBeAreRefused) {
  const auto message = [&](const QuantizeRequest& asked) {
    return message_of([&] { (void)testing::run(asked); });
  };
  QuantizeRequest many = request(folder_ / "out", "gptq", 4);
  many.sequences = 257;
  EXPECT_NE(message(many).find("holds 256 images"), std::string::npos);
  QuantizeRequest long_ones = request(folder_ / "out", "gptq", 4);
  long_ones.length = 64;
  EXPECT_NE(message(long_ones).find("--length 64: is of texts"), std::string::npos);
  QuantizeRequest rotated = request(folder_ / "out", "rtn", 4);
  apply_setting(rotated.recipe, "transform.rotation=quarot");
  EXPECT_NE(message(rotated).find("LayerNorm subtracts a mean"), std::string::npos);
  QuantizeRequest weighted = request(folder_ / "out", "gptq", 4);
  apply_setting(weighted.recipe, "objective.first_token=0");
  EXPECT_NE(message(weighted).find("objective.first_token"), std::string::npos);
  SilentProgress progress;
  const ConvertRequest gguf{
      .model = GetParam().folder(), .out = folder_ / "model.gguf", .format = "gguf"};
  EXPECT_NE(message_of([&] { (void)convert_model(gguf, progress); }).find("GGUF"),
            std::string::npos);
}

// From the checkout alone: a random DeiT of 8 x 8 pixels, so that images are resized.
TEST(VisionRun, FoldersOfImagesCalibrateAndEvaluate) {
  const TemporaryFolder folder;
  for (const char* name : {"0", "3", "4"}) {
    fs::create_directories(folder / "images" / name);
    for (const char* image : {"photo.png", "photo.jpg", "grey.png", "progressive.jpg"})
      fs::copy_file(testing::test_data("images") / image, folder / "images" / name / image);
  }
  QuantizeRequest asked = testing::request_for(folder / "out", "gptaq", 4);
  asked.model = testing::test_data("forward/vision/deit_teacher");
  apply_setting(asked.recipe, "grid.group_size=0");
  asked.calibration = {{.file = folder / "images"}};
  asked.sequences = 8;
  asked.length = 0;
  asked.check = true;
  const json report = testing::run(asked);
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report["check"]["images"], 4);
  EXPECT_FALSE(report["check"].contains("perplexity"));
  EvaluateRequest request;
  request.model = folder / "out";
  request.reference = asked.model;
  request.images = folder / "images";
  SilentProgress progress;
  const json found = evaluate_model(request, progress);
  EXPECT_EQ(found["protocol"]["images"], 12);
  EXPECT_GT(found["kl"]["mean"].get<double>(), 0);
  EXPECT_LT(found["kl"]["mean"].get<double>(), 0.1);
  EXPECT_FALSE(found.contains("perplexity"));
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenVisionRun, ::testing::ValuesIn(testing::kVisionModels),
                         testing::vision_name);

}  // namespace
}  // namespace halftone
