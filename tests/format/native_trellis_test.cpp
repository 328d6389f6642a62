// Kind "trellis" of the native container: the way back, golden bytes, hostile files.
#include <gtest/gtest.h>

#include <functional>

#include "format/gguf_blocks.h"
#include "format/support.h"
#include "kernels/trellis_kernels.h"
#include "quantize/linear_rotation.h"

namespace halftone {
namespace {

using testing::make_trellis;
using testing::native_error;
using testing::NativeFolder;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_native;

TEST(NativeTrellis, WhatIsWrittenIsReadBackBitForBit) {
  for (const TrellisCode code : kTrellisCodes)
    for (const int bits : {1, 2, 3, 4}) {
      TemporaryFolder folder;
      const QuantizedLinear linear = make_trellis(code, bits, 48, 96);
      write_native(folder / "m", linear);
      const QuantizedLinear read = open_model(folder / "m")->read_linear("a");
      EXPECT_EQ(read.kind(), GridKind::kTrellis);
      EXPECT_EQ(read.trellis->code, code);
      EXPECT_EQ(read.trellis->state_bits, linear.trellis->state_bits);
      EXPECT_TRUE(read.codes.equal(linear.codes));
      EXPECT_TRUE(read.scales.equal(linear.scales));
      const LinearRotation &found = *read.trellis->rotation, &given = *linear.trellis->rotation;
      EXPECT_TRUE(found.input_signs.equal(given.input_signs));
      EXPECT_TRUE(found.output_signs.equal(given.output_signs));
      EXPECT_EQ(found.input_block, given.input_block);
      EXPECT_EQ(found.output_block, given.output_block);
      EXPECT_TRUE(dequantize(read).equal(dequantize(linear)));
    }
}

TEST(NativeTrellis, OtherBlocksThanOursAreKept) {
  TemporaryFolder folder;
  QuantizedLinear linear = make_trellis(TrellisCode::kMcg, 2, 48, 96);
  linear.trellis->rotation->input_block = 32;
  linear.trellis->rotation->output_block = 4;
  write_native(folder / "m", linear);
  const QuantizedLinear read = open_model(folder / "m")->read_linear("a");
  EXPECT_EQ(read.trellis->rotation->input_block, 32);
  EXPECT_EQ(read.trellis->rotation->output_block, 4);
  EXPECT_TRUE(dequantize(read).equal(dequantize(linear)));
}

// For ever: these bytes are what the documentation shows.
TEST(NativeTrellis, BytesAreTheDocumentedOnes) {
  QuantizedLinear linear;
  linear.bits = 2;
  linear.group_size = 16;
  linear.symmetric = true;
  linear.codes = at::zeros({16, 16}, at::kByte);
  linear.codes[0][0] = 1;  // the first step
  linear.codes[1][0] = 2;  // the second
  linear.codes[0][1] = 3;  // the seventeenth
  linear.scales = at::full({16, 1}, 0.5, at::kFloat);
  linear.scales[3][0] = 2;
  at::Tensor signs = at::zeros({16}, at::kByte);
  signs[1] = 1;
  signs[8] = 1;
  linear.trellis = {.code = TrellisCode::k1Mad,
                    .state_bits = 8,
                    .rotation = LinearRotation{.input_signs = signs,
                                               .output_signs = at::zeros({16}, at::kByte),
                                               .input_block = 1,
                                               .output_block = 1}};
  TemporaryFolder folder;
  write_native(folder / "m", linear);
  const Checkpoint written(folder / "m");
  const auto bytes = [&](const char* part) {
    const at::Tensor tensor = written.load(part).contiguous();
    const auto* first = static_cast<const uint8_t*>(tensor.const_data_ptr());
    return std::vector<int>(first, first + tensor.nbytes());
  };
  const std::vector<int> codes = bytes("a.codes");
  EXPECT_EQ(std::vector<int>(codes.begin(), codes.begin() + 8),
            (std::vector<int>{0x0d, 0, 0, 0, 0x02, 0, 0, 0}));
  EXPECT_EQ(bytes("a.input_signs"), (std::vector<int>{0x02, 0x01}));
  EXPECT_EQ(bytes("a.output_signs"), (std::vector<int>{0, 0}));
  EXPECT_EQ(written.load("a.scales").scalar_type(), at::kHalf);
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":2,"code":"1mad","group_index":false,"group_size":16,)"
            R"("input_block":1,"kind":"trellis","output_block":1,"shape":[16,16],)"
            R"("state_bits":8,"symmetric":true}},"version":1})");
  const at::Tensor weights = open_model(folder / "m")->load("a.weight");
  // states: 1; 1, 2 = 0b0110; ... 3; values are (sum of bytes - 510) / 147.8
  const auto value = find_trellis_code("1mad");
  EXPECT_EQ(weights[0][0].item<float>(), 0.5F * value(1));
  EXPECT_EQ(weights[1][0].item<float>(), 0.5F * value(0b0110));
  EXPECT_EQ(weights[2][0].item<float>(), 0.5F * value(0b011000));
  EXPECT_EQ(weights[3][0].item<float>(), 2 * value(0b01100000));
  EXPECT_EQ(weights[4][0].item<float>(), 0.5F * value(0b10000000));
  EXPECT_EQ(weights[5][0].item<float>(), 0.5F * value(0));
  EXPECT_EQ(weights[0][1].item<float>(), -0.5F * value(3));
}

TEST(NativeTrellis, TheCircleGoesFromATilesEndToItsStart) {
  QuantizedLinear linear = make_trellis(TrellisCode::k3Inst, 2, 16, 16);
  linear.trellis->rotation->input_block = linear.trellis->rotation->output_block = 1;
  linear.trellis->rotation->input_signs.zero_();
  linear.trellis->rotation->output_signs.zero_();
  linear.scales.fill_(1);
  linear.codes.zero_();
  linear.codes[15][15] = 3;
  const at::Tensor weights = dequantize(linear);
  const auto value = find_trellis_code("3inst");
  EXPECT_EQ(weights[15][15].item<float>(), value(3));
  EXPECT_EQ(weights[0][0].item<float>(), value(12));
}

TEST(NativeTrellis, OtherFormatsRefuseItBeforeAnyWork) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(plan_of("a", make_trellis(TrellisCode::k3Inst, 2, 32, 64)));
  for (const std::string name : {"compressed-tensors", "gptq", "gptq_v2"})
    EXPECT_NE(find_format(name).refusal(plan).find("a trellis grid"), std::string::npos) << name;
  EXPECT_NE(gguf_grid_refusal(plan.linears.back()).find("a trellis grid"), std::string::npos);
  EXPECT_EQ(default_format(plan).name, "native");
  EXPECT_EQ(find_format("dense").refusal(plan), "");
}

TEST(NativeTrellis, LinearsThatAreNoTilesAreNotWritten) {
  const auto refused = [](const std::function<void(QuantizedLinear&)>& spoil) {
    QuantizedLinear linear = make_trellis(TrellisCode::k3Inst, 2, 32, 64);
    spoil(linear);
    return testing::message_of([&] { check_linear(linear); });
  };
  EXPECT_NO_THROW(check_linear(make_trellis(TrellisCode::k3Inst, 2, 32, 64)));
  EXPECT_NE(refused([](auto& l) { l.bits = 5; }), "");
  EXPECT_NE(refused([](auto& l) { l.symmetric = false; }), "");
  EXPECT_NE(refused([](auto& l) { l.group_size = 32; }), "");
  EXPECT_NE(refused([](auto& l) { l.codes.fill_(4); }), "");
  EXPECT_NE(refused([](auto& l) { l.trellis->state_bits = 7; }), "");
  EXPECT_NE(refused([](auto& l) { l.trellis->state_bits = 17; }), "");
  EXPECT_NE(refused([](auto& l) { l.scales.mul_(1 + 0x1p-15); }), "");
  EXPECT_NE(refused([](auto& l) { l.scales.fill_(NAN); }), "");
  EXPECT_NE(refused([](auto& l) { l.trellis->rotation->input_block = 48; }), "");
  EXPECT_NE(refused([](auto& l) { l.trellis->rotation->output_signs.fill_(2); }), "");
  EXPECT_NE(refused([](auto& l) {
              l.codes = l.codes.narrow(1, 0, 40).contiguous();
              l.group_size = 40;
            }),
            "");
}

std::string error_with(const std::function<void(NativeFolder&)>& spoil) {
  return native_error(make_trellis(TrellisCode::k3Inst, 2, 32, 64), spoil);
}

TEST(NativeTrellisHostile, EveryImpossibleDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {0, 1, 3, 5, 8, nullptr}},
      {"kind", {"uniform", "vector", "Trellis", nullptr}},
      {"code", {"2inst", "3INST", "", 3, nullptr}},
      {"state_bits", {0, 7, 17, -1, int64_t{1} << 40, "12", nullptr}},
      {"input_block", {0, 3, 48, 128, -64, nullptr}},
      {"output_block", {0, 64, "32", nullptr}},
      {"shape", {{32}, {32, 80}, {33, 64}, {INT64_MAX, INT64_MAX}, nullptr}},
      {"group_size", {0, 16, 32, int64_t{1} << 50}},
      {"symmetric", {false, 1}},
      {"group_index", {true, 0}},
      {"outliers", {true}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with([&](NativeFolder& parts) { parts.description[key] = value; }), "");
    }
}

TEST(NativeTrellisHostile, EveryTensorMustBeThereInItsTypeAndShape) {
  for (const char* part : {"a.codes", "a.scales", "a.input_signs", "a.output_signs"}) {
    SCOPED_TRACE(part);
    const auto error = [&](auto&& change) {
      return error_with([&](NativeFolder& parts) { change(parts.tensors); });
    };
    EXPECT_NE(error([&](auto& all) { all.erase(part); }), "");
    EXPECT_NE(error([&](auto& all) { all[part] = all[part].to(at::kFloat); }), "");
    EXPECT_NE(error([&](auto& all) { all[part] = at::cat({all[part], all[part]}); }), "");
  }
  EXPECT_NE(error_with([](NativeFolder& p) { p.tensors["a.scales"].fill_(NAN); }), "");
}

}  // namespace
}  // namespace halftone
