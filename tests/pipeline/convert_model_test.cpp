// Converting what `quantize` wrote, on the demo model.
#include "pipeline/convert_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "format/format.h"
#include "pipeline/quantize_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

const fs::path kModel = fs::path(HALFTONE_SOURCE_DIR) / "examples" / "stories260K";

// Round to nearest on the recipe's grid, so that no calibration is needed.
json quantize(const fs::path& out, const std::string& name, const std::string& format,
              int64_t group_size = 32) {
  QuantizeRequest request;
  request.model = kModel;
  request.out = out;
  for (const auto& [known, toml] : builtin_recipes())
    if (known == name) request.recipe = parse_recipe(toml, name);
  apply_setting(request.recipe, "objective.kind=none");
  apply_setting(request.recipe, "order.kind=natural");
  apply_setting(request.recipe, "outliers.rate=0");
  apply_setting(request.recipe, fmt::format("grid.group_size={}", group_size));
  request.format = format;
  request.threads = 2;
  SilentProgress progress;
  return quantize_model(request, progress);
}

json convert(const fs::path& from, const fs::path& to, const std::string& format) {
  SilentProgress progress;
  return convert_model({.model = from, .out = to, .format = format, .overwrite = false}, progress);
}

TEST(ConvertModel, DenseHoldsEveryPackedWeightRoundedOnce) {
  const TemporaryFolder folder;
  quantize(folder / "packed", "spqr", "native");
  const json report = convert(folder / "packed", folder / "dense", "dense");
  EXPECT_EQ(report["from"], "native");
  EXPECT_EQ(report["verified"], true);
  EXPECT_GT(report["source"]["bits_per_weight"]["quantized"],
            report["source"]["bits_per_weight"]["quoted"]);
  const auto packed = open_model(folder / "packed"), dense = open_model(folder / "dense");
  EXPECT_EQ(dense->format(), "dense");
  for (const std::string& name : packed->linears()) {
    const at::Tensor stored = dense->load(name + ".weight");
    EXPECT_TRUE(at::equal(stored, packed->load(name + ".weight").to(stored.scalar_type()))) << name;
  }
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight"})
    EXPECT_TRUE(at::equal(dense->load(name), packed->load(name))) << name;
  EXPECT_FALSE(dense->config().contains("quantization_config"));
  EXPECT_TRUE(fs::exists(folder / "dense" / "tokenizer.json"));
}

TEST(ConvertModel, AUniformGridMovesBetweenFormatsBitForBit) {
  const TemporaryFolder folder;
  quantize(folder / "a", "rtn", "compressed-tensors", /*group_size=*/0);
  convert(folder / "a", folder / "b", "native");
  const auto before = open_model(folder / "a"), after = open_model(folder / "b");
  EXPECT_EQ(after->format(), "native");
  for (const std::string& name : before->linears())
    EXPECT_TRUE(at::equal(before->load(name + ".weight"), after->load(name + ".weight"))) << name;
}

TEST(ConvertModel, WhatCannotBeHeldIsRefusedBeforeAnyWork) {
  const TemporaryFolder folder;
  quantize(folder / "packed", "spqr", "");
  for (const char* format : {"compressed-tensors", "gptq", "gptq_v2"}) {
    const std::string message =
        message_of([&] { convert(folder / "packed", folder / "out", format); });
    EXPECT_NE(message.find("a bilevel grid"), std::string::npos) << message;
    EXPECT_NE(message.find("formats that can hold this: native, dense"), std::string::npos)
        << message;
    EXPECT_FALSE(fs::exists(folder / "out"));
  }
  EXPECT_NE(message_of([&] { convert(kModel, folder / "out", "native"); }).find("not quantized"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
