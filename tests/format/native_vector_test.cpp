// Kind "vector" of the native container: the way back, golden bytes, hostile files.
#include <gtest/gtest.h>

#include <functional>

#include "format/support.h"

namespace halftone {
namespace {

using testing::make_vectors;
using testing::native_error;
using testing::NativeFolder;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_native;

TEST(NativeVector, WhatIsWrittenIsReadBackBitForBit) {
  for (const Codebook codebook : kCodebooks) {
    SCOPED_TRACE(codebook_shape(codebook).type);
    TemporaryFolder folder;
    const QuantizedLinear linear = make_vectors(codebook, 5, 768);
    write_native(folder / "m", linear);
    const QuantizedLinear read = open_model(folder / "m")->read_linear("a");
    EXPECT_EQ(read.kind(), GridKind::kVector);
    EXPECT_EQ(read.vectors->codebook, codebook);
    EXPECT_TRUE(read.codes.equal(linear.codes));
    EXPECT_TRUE(read.scales.equal(linear.scales));
    EXPECT_TRUE(read.vectors->scale_codes.equal(linear.vectors->scale_codes));
    EXPECT_TRUE(read.vectors->steps.equal(linear.vectors->steps));
    EXPECT_TRUE(dequantize_rows(read, 2, 2).equal(dequantize(linear).narrow(0, 2, 2)));
  }
}

// For ever: these bytes are what the documentation shows.
TEST(NativeVector, BytesAreTheDocumentedOnes) {
  QuantizedLinear linear;
  linear.bits = 4;
  linear.group_size = 32;
  linear.symmetric = true;
  linear.codes = at::zeros({1, 256}, at::kByte);  // the first point of IQ2_XXS is eight times 8
  linear.codes[0][0] = linear.codes[0][7] = kNegative;
  linear.vectors = {.codebook = Codebook::kIq2Xxs,
                    .scale_codes = at::arange(0, 8, at::kByte).reshape({1, 8}),
                    .steps = at::full({1, 1}, 0.5, at::kFloat)};
  linear.scales = group_scales(*linear.vectors);
  TemporaryFolder folder;
  write_native(folder / "m", linear);
  const Checkpoint written(folder / "m");
  const at::Tensor codes = written.load("a.scale_codes");
  EXPECT_EQ(std::vector<int>(codes.data_ptr<uint8_t>(), codes.data_ptr<uint8_t>() + codes.numel()),
            (std::vector<int>{0x10, 0x32, 0x54, 0x76}));
  EXPECT_EQ(written.load("a.block_scales").scalar_type(), at::kHalf);
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":4,"codebook":"iq2_xxs","group_index":false,"group_size":32,)"
            R"("kind":"vector","shape":[1,256],"symmetric":true}},"version":1})");
  const at::Tensor weights = open_model(folder / "m")->load("a.weight");
  EXPECT_EQ(weights[0][0].item<float>(), -0.5);  // 0.5 / 8 * 1 * 8
  EXPECT_EQ(weights[0][1].item<float>(), 0.5);
  EXPECT_EQ(weights[0][255].item<float>(), 7.5);  // 0.5 / 8 * 15 * 8
}

TEST(NativeVector, OtherFormatsRefuseItBeforeAnyWork) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(plan_of("a", make_vectors(Codebook::kIq3S, 4, 256)));
  for (const std::string name : {"compressed-tensors", "gptq", "gptq_v2"})
    EXPECT_NE(find_format(name).refusal(plan).find("a vector grid"), std::string::npos) << name;
  EXPECT_EQ(default_format(plan).name, "native");
  EXPECT_EQ(find_format("dense").refusal(plan), "");
}

TEST(NativeVector, LinearsThatAreNoVectorsAreNotWritten) {
  const auto refused = [](Codebook codebook, const std::function<void(QuantizedLinear&)>& spoil) {
    QuantizedLinear linear = make_vectors(codebook, 2, 256);
    spoil(linear);
    return testing::message_of([&] { check_linear(linear); });
  };
  const Codebook xs = Codebook::kIq2Xs;
  EXPECT_NE(refused(xs, [](auto& l) { l.bits = 5; }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.symmetric = false; }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.group_size = 32; }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.codes.fill_(7); }), "");  // no magnitude
  EXPECT_NE(refused(xs, [](auto& l) { l.codes.template data_ptr<uint8_t>()[0] ^= kNegative; }),
            "");  // an odd number
  EXPECT_NE(refused(xs, [](auto& l) { l.vectors->scale_codes.fill_(16); }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.vectors->steps.neg_(); }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.vectors->steps.mul_(1 + 0x1p-15); }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.scales = l.scales * 2; }), "");
  EXPECT_NE(refused(xs, [](auto& l) { l.vectors->codebook = Codebook::kIq2Xxs; }), "");
}

std::string error_with(const std::function<void(NativeFolder&)>& spoil) {
  return native_error(make_vectors(Codebook::kIq2Xxs, 4, 512), spoil);
}

TEST(NativeVectorHostile, EveryImpossibleDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {0, 2, 3, 5, 8, nullptr}},
      {"kind", {"uniform", "superblock", "Vector", nullptr}},
      {"codebook", {"iq2_xs", "IQ2_XXS", "iq1_s", 2, nullptr}},
      {"shape", {{4}, {4, 256}, {4, 513}, {5, 512}, {INT64_MAX, INT64_MAX}, nullptr}},
      {"group_size", {0, 16, 64, int64_t{1} << 50}},
      {"symmetric", {false, 1}},
      {"group_index", {true, 0}},
      {"outliers", {true}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with([&](NativeFolder& parts) { parts.description[key] = value; }), "");
    }
}

TEST(NativeVectorHostile, EveryTensorMustBeThereInItsTypeAndShape) {
  for (const char* part : {"a.codes", "a.scale_codes", "a.block_scales"}) {
    SCOPED_TRACE(part);
    const auto error = [&](auto&& change) {
      return error_with([&](NativeFolder& parts) { change(parts.tensors); });
    };
    EXPECT_NE(error([&](auto& all) { all.erase(part); }), "");
    EXPECT_NE(error([&](auto& all) { all[part] = all[part].to(at::kFloat); }), "");
    EXPECT_NE(error([&](auto& all) { all[part] = at::cat({all[part], all[part]}); }), "");
  }
}

TEST(NativeVectorHostile, CodesThatAreNoPointsAreAnErrorWhenTheyAreRead) {
  EXPECT_NE(error_with([](NativeFolder& p) { p.tensors["a.codes"].fill_(0x77); }), "");
  EXPECT_NE(
      error_with([](NativeFolder& p) { p.tensors["a.codes"].data_ptr<uint8_t>()[0] ^= 0x80; }), "");
  EXPECT_NE(error_with([](NativeFolder& p) { p.tensors["a.block_scales"].fill_(-1); }), "");
  EXPECT_NE(error_with([](NativeFolder& p) { p.tensors["a.block_scales"].fill_(NAN); }), "");
}

}  // namespace
}  // namespace halftone
