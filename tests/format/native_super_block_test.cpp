// Kind "superblock" of the native container: golden bytes, the way back, hostile files.
#include <gtest/gtest.h>

#include <functional>

#include "format/support.h"

namespace halftone {
namespace {

using testing::make_super_blocks;
using testing::native_error;
using testing::NativeFolder;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_native;

struct Width {
  int bits;
  Levels levels = Levels::kEven;
};
std::vector<Width> widths() {
  std::vector<Width> all = {{2}, {3}, {4}, {5}, {6}};
  for (const Levels levels : kUnevenLevels) all.push_back({levels_shape(levels).bits, levels});
  return all;
}

TEST(NativeSuperBlock, WhatIsWrittenIsReadBackBitForBit) {
  for (const auto& [bits, levels] : widths()) {
    SCOPED_TRACE(::testing::Message() << bits << " " << levels_shape(levels).word);
    TemporaryFolder folder;
    const QuantizedLinear linear = make_super_blocks(bits, 5, 768, levels);
    write_native(folder / "m", linear);
    const QuantizedLinear read = open_model(folder / "m")->read_linear("a");
    EXPECT_EQ(read.kind(), GridKind::kSuperBlock);
    EXPECT_TRUE(read.codes.equal(linear.codes));
    EXPECT_TRUE(read.scales.equal(linear.scales));
    EXPECT_TRUE(read.blocks->scale_codes.equal(linear.blocks->scale_codes));
    EXPECT_TRUE(read.blocks->steps.equal(linear.blocks->steps));
    EXPECT_EQ(read.blocks->levels, levels);
    EXPECT_EQ(read.blocks->offsets.defined(), !linear.symmetric);
    EXPECT_TRUE(dequantize(read).equal(dequantize(linear)));
    EXPECT_TRUE(dequantize_rows(read, 2, 2).equal(dequantize(linear).narrow(0, 2, 2)));
  }
}

// For ever: these bytes are what the documentation shows.
TEST(NativeSuperBlock, BytesAreTheDocumentedOnes) {
  QuantizedLinear linear;
  linear.bits = 3;
  linear.group_size = 16;
  linear.symmetric = true;
  linear.codes = at::full({1, 256}, 5, at::kByte);
  linear.blocks = {.scale_codes = at::arange(-32, -16, at::kChar).reshape({1, 16}),
                   .offset_codes = {},
                   .steps = at::full({1, 1}, -0.5, at::kFloat),
                   .offsets = {}};
  linear.scales = linear.blocks->scale_codes * -0.5;
  TemporaryFolder folder;
  write_native(folder / "m", linear);
  const Checkpoint written(folder / "m");
  const at::Tensor codes = written.load("a.scale_codes"), steps = written.load("a.block_scales");
  EXPECT_EQ(std::vector<int>(codes.data_ptr<uint8_t>(), codes.data_ptr<uint8_t>() + 6),
            (std::vector<int>{0x40, 0x20, 0x0C, 0x44, 0x61, 0x1C}));  // 0, 1, 2 .. in six bits
  EXPECT_EQ(codes.numel(), 12);
  EXPECT_EQ(steps.scalar_type(), at::kHalf);
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":3,"group_index":false,"group_size":16,"kind":"superblock",)"
            R"("shape":[1,256],"symmetric":true}},"version":1})");
  const at::Tensor weights = open_model(folder / "m")->load("a.weight");
  EXPECT_EQ(weights[0][0].item<float>(), 16);     // -0.5 * -32 * (5 - 4)
  EXPECT_EQ(weights[0][255].item<float>(), 8.5);  // -0.5 * -17
}

TEST(NativeSuperBlock, OtherFormatsRefuseItBeforeAnyWork) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(plan_of("a", make_super_blocks(4, 4, 256)));
  for (const std::string name : {"compressed-tensors", "gptq", "gptq_v2"})
    EXPECT_NE(find_format(name).refusal(plan).find("in super-blocks"), std::string::npos) << name;
  EXPECT_EQ(default_format(plan).name, "native");
  EXPECT_EQ(find_format("dense").refusal(plan), "");
}

TEST(NativeSuperBlock, LinearsThatAreNoSuperBlocksAreNotWritten) {
  const auto refused = [](int bits, const std::function<void(QuantizedLinear&)>& spoil) {
    QuantizedLinear linear = make_super_blocks(bits, 2, 256);
    spoil(linear);
    return testing::message_of([&] { check_linear(linear); });
  };
  EXPECT_NE(refused(4, [](auto& l) { l.bits = 7; }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.symmetric = true; }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.group_size = 16; }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.codes = l.codes.narrow(1, 0, 128).contiguous(); }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.blocks->scale_codes = l.blocks->scale_codes - 64; }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.blocks->offset_codes = l.blocks->offset_codes + 64; }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.blocks->steps = l.blocks->steps * (1 + 0x1p-15); }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.blocks->offsets = at::Tensor(); }), "");
  EXPECT_NE(refused(4, [](auto& l) { l.scales = l.scales + 1; }), "");
  EXPECT_NE(refused(6, [](auto& l) { l.blocks->offsets = l.blocks->steps; }), "");
}

std::string error_with(int bits, const std::function<void(NativeFolder&)>& spoil) {
  return native_error(make_super_blocks(bits, 4, 512), spoil);
}

TEST(NativeSuperBlockHostile, EveryImpossibleDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {0, 1, 2, 3, 5, 6, 7, 8, nullptr}},
      {"kind", {"uniform", "bilevel", "super-block", nullptr}},
      {"shape", {{4}, {4, 256}, {4, 513}, {5, 512}, {INT64_MAX, INT64_MAX}, nullptr}},
      {"group_size", {0, 16, 64, int64_t{1} << 50}},
      {"symmetric", {true, 1}},
      {"group_index", {true, 0}},
      {"outliers", {true}},
      {"levels", {"even", "iq4_xs", "iq4_nl", 4, nullptr}},
      {"run_size", {16}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with(4, [&](NativeFolder& parts) { parts.description[key] = value; }), "");
    }
}

TEST(NativeSuperBlockHostile, BlocksOfOneGroupHaveNoCodesOfScales) {
  const QuantizedLinear linear = make_super_blocks(4, 4, 512, Levels::kIq4Nl);
  EXPECT_NE(native_error(linear,
                         [](NativeFolder& parts) {
                           parts.tensors["a.scale_codes"] = at::zeros({16}, at::kByte);
                         })
                .find("blocks of one group have none"),
            std::string::npos);
  for (const char* levels : {"iq4_xs", "iq4", "", "even", "tq1_0", "q1_0"})
    EXPECT_NE(
        native_error(linear, [&](NativeFolder& parts) { parts.description["levels"] = levels; }),
        "")
        << levels;
}

TEST(NativeSuperBlockHostile, CodesAndScalesThatTheTypeDoesNotHaveAreErrors) {
  EXPECT_NE(native_error(make_super_blocks(2, 4, 512, Levels::kTq1),
                         [](NativeFolder& parts) { parts.tensors["a.codes"].fill_(0xff); })
                .find("codes"),
            std::string::npos);
  for (const Levels levels : {Levels::kMxfp4, Levels::kNvfp4})
    for (const double step : {0.0, -0.25, 0.01, 1.0 + 0x1p-4})
      EXPECT_NE(
          native_error(make_super_blocks(4, 4, 512, levels),
                       [&](NativeFolder& parts) { parts.tensors["a.block_scales"][1][1] = step; })
              .find("steps: expected"),
          std::string::npos)
          << levels_shape(levels).word << " " << step;
}

TEST(NativeSuperBlockHostile, EveryTensorMustBeThereInItsTypeAndShape) {
  for (const int bits : {4, 6})
    for (const char* part :
         {"a.scale_codes", "a.block_scales", "a.offset_codes", "a.block_offsets"}) {
      SCOPED_TRACE(::testing::Message() << part << " at " << bits << " bits");
      const bool there = bits == 4 || std::string(part).find("offset") == std::string::npos;
      const auto error = [&](auto&& change) {
        return error_with(bits, [&](NativeFolder& parts) { change(parts.tensors); });
      };
      if (!there) {
        EXPECT_NE(error([&](auto& all) { all[part] = all.at("a.block_scales").clone(); }), "");
        continue;
      }
      EXPECT_NE(error([&](auto& all) { all.erase(part); }), "");
      EXPECT_NE(error([&](auto& all) { all[part] = all[part].to(at::kFloat); }), "");
      EXPECT_NE(error([&](auto& all) { all[part] = at::cat({all[part], all[part]}); }), "");
    }
  EXPECT_NE(error_with(4, [](NativeFolder& p) { p.tensors["a.block_scales"].fill_(INFINITY); }),
            "");
}

}  // namespace
}  // namespace halftone
