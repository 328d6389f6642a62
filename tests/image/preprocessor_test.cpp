#include "image/preprocessor.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using nlohmann::json;

const Image kFourPixels{2, 2, {0, 51, 102, 255, 204, 153, 10, 20, 30, 40, 50, 60}};

TEST(Preprocessor, NumbersAreScaledAndNormalizedByChannel) {
  const Preprocessor::Pixels pixels =
      parse_preprocessor(
          {{"do_resize", false}, {"image_mean", {0.5, 0.25, 0.1}}, {"image_std", {0.5, 0.25, 0.2}}})
          .apply(kFourPixels);
  ASSERT_EQ(pixels.numbers.size(), 12u);
  EXPECT_FLOAT_EQ(pixels.numbers[0], -1);                    // red of the first pixel
  EXPECT_FLOAT_EQ(pixels.numbers[1], 1);                     // of the second
  EXPECT_FLOAT_EQ(pixels.numbers[4], -0.2F);                 // green: (0.2 - 0.25) / 0.25
  EXPECT_FLOAT_EQ(pixels.numbers[8], (0.4F - 0.1F) / 0.2F);  // blue
}

TEST(Preprocessor, AbsentKeysMeanWhatTheNamedClassHas) {
  const Preprocessor vit = parse_preprocessor({{"image_processor_type", "ViTImageProcessor"}});
  EXPECT_EQ(vit.resize->height, 224);
  EXPECT_FALSE(vit.crop);
  EXPECT_EQ(vit.filter, ResampleFilter::kBilinear);
  EXPECT_EQ(vit.mean[0], 0.5);
  const Preprocessor deit =
      parse_preprocessor({{"feature_extractor_type", "DeiTFeatureExtractor"}});
  EXPECT_EQ(deit.resize->width, 256);
  EXPECT_EQ(deit.crop->width, 224);
  EXPECT_EQ(deit.filter, ResampleFilter::kBicubic);
}

TEST(Preprocessor, ASizeOfOneNumberIsBothSides) {
  const Preprocessor old =
      parse_preprocessor({{"size", 3}, {"crop_size", 2}, {"do_center_crop", true}});
  const Preprocessor::Pixels pixels = old.apply(kFourPixels);
  EXPECT_EQ(pixels.size.width, 2);
  EXPECT_EQ(pixels.size.height, 2);
}

TEST(Preprocessor, ACropIsTheMiddle) {
  Image row{5, 1, {}};
  for (uint8_t i = 0; i < 15; ++i) row.rgb.push_back(i);
  const Preprocessor::Pixels pixels =
      parse_preprocessor({{"do_resize", false},
                          {"do_rescale", false},
                          {"do_normalize", false},
                          {"do_center_crop", true},
                          {"crop_size", {{"height", 1}, {"width", 3}}}})
          .apply(row);
  EXPECT_EQ(pixels.numbers, (std::vector<float>{3, 6, 9, 4, 7, 10, 5, 8, 11}));
}

TEST(Preprocessor, WhatCannotBeDoneIsNamed) {
  const auto message = [](const json& config) {
    return message_of([&] { (void)parse_preprocessor(config).apply(kFourPixels); });
  };
  EXPECT_EQ(message({{"size", {{"shortest_edge", 256}}}}),
            "preprocessor_config.json: size: expected height and width, found "
            "{\"shortest_edge\":256}");
  EXPECT_NE(message({{"resample", 0}}).find("resample: expected 1"), std::string::npos);
  EXPECT_NE(message({{"size", 0}}).find("size: expected a whole number"), std::string::npos);
  EXPECT_NE(message({{"image_std", {1, 0, 1}}}).find("image_std"), std::string::npos);
  EXPECT_NE(message({{"image_mean", {1, 0}}}).find("three numbers"), std::string::npos);
  EXPECT_NE(message({{"do_resize", 1}}).find("true or false"), std::string::npos);
  EXPECT_NE(message({{"do_resize", false}, {"do_center_crop", true}}).find("smaller than the crop"),
            std::string::npos);
  EXPECT_NE(message(json::array()).find("an object"), std::string::npos);
}

}  // namespace
}  // namespace halftone
