// Converting what `quantize` wrote, on the demo model.
#include "pipeline/convert_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "format/support.h"
#include "pipeline/demo_request.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

const fs::path kModel = fs::path(HALFTONE_SOURCE_DIR) / "examples" / "stories260K";

// Round to nearest on the recipe's grid, so that no calibration is needed.
json quantize(const fs::path& out, const std::string& name, const std::string& format,
              int64_t group_size = 32, const fs::path& model = kModel) {
  QuantizeRequest request;
  request.model = model;
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

json convert(const fs::path& from, const fs::path& to, const std::string& format,
             const std::string& type = "") {
  SilentProgress progress;
  return convert_model(
      {.model = from, .out = to, .format = format, .type = type, .overwrite = false}, progress);
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

// A copy of a packed folder in which these linears are left as they were in the demo model.
void leave_unquantized(const fs::path& from, const fs::path& to,
                       const std::vector<std::string>& linears,
                       const std::vector<std::string>& parts) {
  fs::copy(from, to, fs::copy_options::recursive);
  const Checkpoint packed(from), source(kModel);
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : packed.names()) tensors[name] = packed.load(name).clone();
  for (const std::string& linear : linears) {
    for (const std::string& part : parts) tensors.erase(linear + part);
    tensors[linear + ".weight"] = source.load(linear + ".weight").clone();
  }
  auto metadata = packed.metadata();
  if (const auto native = metadata.find("halftone.native"); native != metadata.end()) {
    json description = json::parse(native->second);
    for (const std::string& linear : linears) description["linears"].erase(linear);
    native->second = description.dump();
  }
  fs::remove(to / "model.safetensors");
  write_safetensors(to / "model.safetensors", tensors, metadata);
}

// What GPTQ files cannot hold (172 rows or columns), and one more.
std::vector<std::string> left_linears() {
  std::vector<std::string> names = {"model.layers.0.self_attn.q_proj"};
  for (int block = 0; block < 5; ++block)
    for (const char* linear : {"gate_proj", "up_proj", "down_proj"})
      names.push_back(fmt::format("model.layers.{}.mlp.{}", block, linear));
  return names;
}

TEST(ConvertModel, LinearsThatWereLeftUnquantizedStaySo) {
  const TemporaryFolder folder;
  quantize(folder / "whole", "rtn", "compressed-tensors", /*group_size=*/0);
  const std::vector<std::string> left = left_linears();
  leave_unquantized(folder / "whole", folder / "part", left,
                    {".weight_packed", ".weight_scale", ".weight_shape", ".weight_zero_point"});
  const auto before = open_model(folder / "part"), source = open_model(kModel);
  ASSERT_EQ(before->linears().size(), 19u);
  fs::path last = folder / "part";
  for (const std::string format : {"native", "gptq_v2", "compressed-tensors", "dense"}) {
    EXPECT_TRUE(convert(last, folder / format, format)["verified"].get<bool>()) << format;
    const auto after = open_model(folder / format);
    EXPECT_EQ(after->linears().size(), format == "dense" ? 0u : 19u);
    for (const std::string& name : before->source().names())
      if (name.ends_with(".weight")) {
        EXPECT_TRUE(at::equal(after->load(name), before->load(name))) << name;
      }
    for (const std::string& name : before->linears())
      EXPECT_TRUE(at::equal(after->load(name + ".weight"), before->load(name + ".weight"))) << name;
    for (const std::string& name : left)
      EXPECT_TRUE(at::equal(after->load(name + ".weight"), source->load(name + ".weight"))) << name;
    last = folder / format;
  }
  const auto config_of = [&](const char* format) {
    return json(open_model(folder / format)->config().at("quantization_config"));
  };
  const json ignored = config_of("compressed-tensors").at("ignore");
  for (const std::string& name : left)
    EXPECT_NE(std::find(ignored.begin(), ignored.end(), name), ignored.end()) << ignored;
  const json dynamic = config_of("gptq_v2").at("dynamic");
  EXPECT_EQ(dynamic.size(), left.size());
  EXPECT_TRUE(dynamic.contains("-:^model\\.layers\\.0\\.self_attn\\.q_proj$")) << dynamic;
}

// Its weight is W R: `native` keeps it with the rotation, `dense` takes the rotation back.
TEST(ConvertModel, AnUnquantizedLinearWithRotatedInputsKeepsItsMeaning) {
  const TemporaryFolder folder;
  QuantizeRequest request = testing::request_for(folder / "whole", "rtn", 8);
  apply_setting(request.recipe, "transform.rotation=quarot");
  apply_setting(request.recipe, "transform.online=true");
  testing::run(request);
  const std::string left = "model.layers.3.mlp.down_proj";
  const auto whole = open_model(folder / "whole");
  fs::copy(folder / "whole", folder / "part", fs::copy_options::recursive);
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : whole->source().names())
    if (!name.starts_with(left)) tensors[name] = whole->source().load(name).clone();
  tensors[left + ".weight"] = whole->load(left + ".weight").clone();
  auto metadata = Checkpoint(folder / "whole").metadata();
  json description = json::parse(metadata.at("halftone.native"));
  description["linears"].erase(left);
  metadata["halftone.native"] = description.dump();
  fs::remove(folder / "part" / "model.safetensors");
  write_safetensors(folder / "part" / "model.safetensors", tensors, metadata);

  convert(folder / "whole", folder / "whole-dense", "dense");
  convert(folder / "part", folder / "part-dense", "dense");
  convert(folder / "part", folder / "part-native", "native");
  const auto a = open_model(folder / "whole-dense"), b = open_model(folder / "part-dense");
  EXPECT_TRUE(at::equal(a->load(left + ".weight"), b->load(left + ".weight")));
  EXPECT_TRUE(at::equal(open_model(folder / "part-native")->load(left + ".weight"),
                        whole->load(left + ".weight")));
  EXPECT_TRUE(open_model(folder / "part-native")
                  ->config()["quantization_config"]
                  .contains("online_rotation"));
}

TEST(ConvertModel, AQuantizedHeadIsConvertedAsALinear) {
  const TemporaryFolder folder;
  quantize(folder / "part", "rtn", "native");
  const auto part = open_model(folder / "part");
  OutputPlan plan;
  plan.source = &part->source();
  plan.config = part->config();
  plan.config["tie_word_embeddings"] = false;
  for (const std::string& name : part->linears())
    plan.linears.push_back(plan_of(name, part->read_linear(name)));
  const QuantizedLinear head = testing::make_linear({.out = 512, .in = 64});
  plan.linears.push_back(plan_of("lm_head", head));
  fs::create_directory(folder / "whole");
  const auto writer = find_format("native").open_writer(folder / "whole", plan);
  for (const std::string& name : part->linears())
    writer->add_linear(finish_linear(name, part->read_linear(name)));
  writer->add_linear(finish_linear("lm_head", head));
  for (const std::string& name : part->source().names())
    if (name.find("norm") != std::string::npos || name.find("embed") != std::string::npos)
      writer->add_tensor(name, part->load(name));
  writer->finish({});

  const auto whole = open_model(folder / "whole");
  for (const std::string format : {"native", "dense"}) {
    convert(folder / "whole", folder / format, format);
    EXPECT_TRUE(at::equal(open_model(folder / format)->load("lm_head.weight"),
                          whole->load("lm_head.weight")))
        << format;
  }
  EXPECT_EQ(open_model(folder / "native")->linears(), whole->linears());
}

TEST(ConvertModel, DenseAsFloat32HoldsEveryWeightOfABfloat16ModelExactly) {
  const TemporaryFolder folder;
  quantize(folder / "packed", "rtn", "native", 16,
           fs::path(HALFTONE_TEST_DATA) / "forward" / "smollm3");
  EXPECT_EQ(convert(folder / "packed", folder / "exact", "dense", "F32")["verified"], true);
  convert(folder / "packed", folder / "rounded", "dense");
  const auto packed = open_model(folder / "packed"), exact = open_model(folder / "exact");
  EXPECT_EQ(exact->config()["torch_dtype"], "float32");
  bool differs = false;
  for (const std::string& name : exact->names()) {
    const at::Tensor stored = exact->load(name);
    EXPECT_EQ(stored.scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(at::equal(stored, packed->load(name).to(at::kFloat))) << name;
    differs |= !at::equal(stored, open_model(folder / "rounded")->load(name).to(at::kFloat));
  }
  EXPECT_TRUE(differs);
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
