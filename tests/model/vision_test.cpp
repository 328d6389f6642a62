// Vision transformers against transformers' values of the zoo's, and their gradients against finite
// differences; what config.json may say of them.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "model/patches.h"
#include "support/vision_zoo.h"

namespace halftone {
namespace {

using ::halftone::testing::kVisionModels;
using ::halftone::testing::message_of;
using ::halftone::testing::vision_name;
using ::halftone::testing::VisionModel;
using nlohmann::json;

constexpr double kTolerance = 1e-4;            // of a tensor's largest magnitude, float32
constexpr double kRandomTolerance = 1e-5;      // the same of small models
constexpr double kDifferenceTolerance = 1e-6;  // relative, of a slope in float64

// The first images as both zoo models read them.   -> (count, 3, 32, 32)
at::Tensor first_images(int64_t count) {
  const MappedFile file(testing::cifar_images());
  const at::Tensor records =
      at::from_blob(const_cast<std::byte*>(file.bytes().data()), {count, 3073}, at::kByte);
  const at::Tensor mean = at::tensor({0.4914, 0.4822, 0.4465}).view({1, 3, 1, 1}),
                   deviation = at::tensor({0.2023, 0.1994, 0.2010}).view({1, 3, 1, 1});
  return (records.narrow(1, 1, 3072).to(at::kFloat).view({count, 3, 32, 32}) / 255 - mean) /
         deviation;
}

double largest_relative_difference(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual - expected).abs().max() / expected.abs().max()).item<double>();
}

// Hidden states in front of the first block, behind it and behind the last, (batch, positions,
// hidden); logits (batch, classes).
struct Outputs {
  at::Tensor embedding, block0, last, logits;
};

Outputs run(const Model& model, const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  const Execution execution{at::kCPU, at::kFloat, 1};
  const ImageSizes& sizes = model.config().image;
  const Positions positions = model.positions(sizes.positions(), execution);
  BlockState state{model.embed(patches_of(images, sizes), execution)};
  Outputs result{state.hidden, {}, {}, {}};
  for (int64_t i = 0; i < model.config().layers; ++i) {
    model.run_block(model.load_block(i, execution, positions), state);
    if (i == 0) result.block0 = state.hidden;
  }
  result.last = state.hidden;
  result.logits =
      model.logits(model.load_head(execution), state.hidden.narrow(1, 0, sizes.class_tokens));
  return result;
}

void expect_golden(const Outputs& found, const SafetensorsFile& golden, const std::string& hidden,
                   const std::string& logits, double tolerance) {
  for (const auto& [name, whole] : {std::pair{hidden + "embedding", found.embedding},
                                    {hidden + "block0", found.block0},
                                    {hidden + "last", found.last},
                                    {logits, found.logits}}) {
    const at::Tensor expected = golden.view(*golden.find(name));
    EXPECT_LT(largest_relative_difference(whole.narrow(0, 0, expected.size(0)), expected),
              tolerance)
        << name;
  }
}

class GoldenVision : public ::testing::TestWithParam<VisionModel> {
 protected:
  void SetUp() override { HALFTONE_REQUIRE_SHARED("golden/zoo"); }
  Model open() const { return Model(std::make_shared<const Checkpoint>(GetParam().folder())); }
};

TEST_P(GoldenVision, HiddenStatesAndLogitsEqualTransformers) {
  const Model model = open();
  const SafetensorsFile golden(GetParam().golden());
  expect_golden(run(model, first_images(32)), golden, "images2.hidden.", "images32.logits",
                kTolerance);
}

TEST_P(GoldenVision, GradientsEqualFiniteDifferences) {
  const Model model = open();
  const Execution exact{at::kCPU, at::kDouble, 1};
  const ImageSizes& sizes = model.config().image;
  const Positions positions = model.positions(sizes.positions(), exact);
  std::vector<Block> blocks;
  for (int64_t i = 0; i < model.config().layers; ++i)
    blocks.push_back(model.load_block(i, exact, positions));
  const Head head = model.load_head(exact);
  const at::Tensor start = model.embed(patches_of(first_images(2), sizes), exact);
  const at::Tensor direction = at::randn({2, model.config().vocab}, at::kDouble);
  const at::Tensor step = at::randn_like(start) * start.abs().mean();
  const auto value = [&](const at::Tensor& x) {
    BlockState state{x};
    for (const Block& block : blocks) model.run_block(block, state);
    return (model.logits(head, state.hidden.narrow(1, 0, sizes.class_tokens)) * direction).sum();
  };
  const at::Tensor x = start.clone().set_requires_grad(true);
  const at::Tensor gradient = torch::autograd::grad({value(x)}, {x})[0];
  constexpr double kStep = 1e-6;
  const at::NoGradGuard no_grad;
  const double slope =
      ((value(start + kStep * step) - value(start - kStep * step)) / (2 * kStep)).item<double>();
  const double size = (gradient.norm() * step.norm()).item<double>() /
                      std::sqrt(static_cast<double>(gradient.numel()));
  EXPECT_NEAR((gradient * step).sum().item<double>(), slope, kDifferenceTolerance * size);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenVision, ::testing::ValuesIn(kVisionModels), vision_name);

class RandomVision : public ::testing::TestWithParam<const char*> {};

TEST_P(RandomVision, EqualsTransformers) {
  const auto folder = testing::test_data("forward/vision") / GetParam();
  const Model model(std::make_shared<const Checkpoint>(folder));
  const SafetensorsFile golden(folder.string() + ".safetensors");
  expect_golden(run(model, golden.view(*golden.find("images"))), golden, "hidden.", "logits",
                kRandomTolerance);
}

INSTANTIATE_TEST_SUITE_P(Families, RandomVision, ::testing::Values("vit", "deit", "deit_teacher"));

TEST(Patches, LieRowByRowBehindTheClassTokens) {
  const at::Tensor image = at::arange(2 * 4 * 6).view({1, 2, 4, 6});
  const at::Tensor patches = patches_of(image, {.channels = 2,
                                                .height = 4,
                                                .width = 6,
                                                .patch_height = 2,
                                                .patch_width = 3,
                                                .class_tokens = 1});
  EXPECT_EQ(patches.sizes(), (at::IntArrayRef{1, 5, 12}));
  EXPECT_TRUE(patches[0][0].eq(0).all().item<bool>());
  EXPECT_TRUE(at::equal(patches[0][2], at::tensor({3, 4, 5, 9, 10, 11, 27, 28, 29, 33, 34, 35})));
  EXPECT_EQ(patches[0][3][0].item<int64_t>(), 12);
}

json vit_config(const json& changes = {}) {
  json config = {{"architectures", {"ViTForImageClassification"}},
                 {"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}};
  if (!changes.is_null()) config.update(changes);
  return config;
}

ModelConfig parsed(const json& config) {
  return find_family(architecture_of(config)).parse_config(config);
}

TEST(VisionConfig, AbsentKeysMeanWhatTransformersFillsIn) {
  const ModelConfig config = parsed(vit_config());
  EXPECT_EQ(config.layers, 12);
  EXPECT_EQ(config.hidden, 768);
  EXPECT_EQ(config.intermediate, 3072);
  EXPECT_EQ(config.vocab, 3);
  EXPECT_EQ(config.context, 197);
  EXPECT_EQ(config.norm_epsilon, 1e-12);
  EXPECT_TRUE(config.attention_bias);
  json deit = vit_config({{"architectures", {"DeiTForImageClassification"}}});
  deit.erase("id2label");
  EXPECT_EQ(parsed(deit).context, 198);
  EXPECT_EQ(parsed(deit).vocab, 2);
}

TEST(VisionConfig, ImagesAndPatchesMayBeOblong) {
  const ModelConfig config =
      parsed(vit_config({{"image_size", {32, 48}}, {"patch_size", {8, 12}}}));
  EXPECT_EQ(config.image.height, 32);
  EXPECT_EQ(config.image.patch_width, 12);
  EXPECT_EQ(config.image.patches(), 16);
}

TEST(VisionConfig, WhatCannotBeIsNamed) {
  const auto message = [](const json& changes) {
    return message_of([&] { (void)parsed(vit_config(changes)); });
  };
  EXPECT_EQ(message({{"image_size", 30}}),
            "config.json: image_size 30 x 30 is not a multiple of patch_size 16 x 16");
  EXPECT_NE(message({{"num_channels", 1}}).find("num_channels 1: expected 3"), std::string::npos);
  EXPECT_NE(message({{"patch_size", {0, 16}}}).find("patch_size: expected a whole number"),
            std::string::npos);
  EXPECT_NE(message({{"image_size", json::array()}}).find("image_size"), std::string::npos);
  EXPECT_NE(message({{"id2label", json::object()}}).find("id2label"), std::string::npos);
  EXPECT_NE(message({{"hidden_act", "mish"}}).find("hidden_act 'mish'"), std::string::npos);
}

}  // namespace
}  // namespace halftone
