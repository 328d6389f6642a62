#include <gtest/gtest.h>

#include <functional>

#include "format/packed_rows.h"
#include "format/support.h"

namespace halftone {
namespace {

using testing::LinearCase;
using testing::make_linear;
using testing::NamedCase;
using testing::plan_for;
using testing::reading_error;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_cases;
using testing::write_folder;
using Tensors = std::map<std::string, at::Tensor>;

nlohmann::json written_config(const std::vector<NamedCase>& cases) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "compressed-tensors", source, cases);
  return read_json(folder / "m" / "config.json").at("quantization_config");
}

TEST(CompressedTensors, ConfigIsTheSetThatEveryLibraryVersionParses) {
  EXPECT_EQ(written_config({{"a", {}}}), nlohmann::json::parse(R"({
    "quant_method": "compressed-tensors", "format": "pack-quantized",
    "quantization_status": "compressed", "ignore": ["lm_head", "model.router"],
    "config_groups": {"group_0": {"targets": ["Linear"], "input_activations": null,
      "output_activations": null, "weights": {"num_bits": 4, "type": "int", "symmetric": true,
      "strategy": "group", "group_size": 32, "dynamic": false, "actorder": null}}}})"));
}

// transformers 5.24 opens zero points so, and takes one grid for all linears then.
TEST(CompressedTensors, OneGridWithZeroPointsAsksToBeDequantized) {
  const LinearCase symmetric{}, asymmetric{.symmetric = false};
  EXPECT_EQ(written_config({{"a", asymmetric}, {"b", asymmetric}}).value("dequantize", false),
            true);
  EXPECT_FALSE(written_config({{"a", symmetric}}).contains("dequantize"));
  const std::vector<NamedCase> several[] = {
      {{"a", asymmetric}, {"b", symmetric}},
      {{"a", asymmetric}, {"b", {.bits = 8, .symmetric = false}}},
      {{"a", asymmetric}, {"b", {.group_size = 16, .symmetric = false}}}};
  const SourceModel source;
  const Format& format = find_format("compressed-tensors");
  for (const auto& cases : several) {
    EXPECT_FALSE(written_config(cases).contains("dequantize"));
    EXPECT_NE(format.caution(plan_for(source, cases)).find("grid.symmetric = true"),
              std::string::npos);
  }
  for (const auto& cases : {std::vector<NamedCase>{{"a", symmetric}, {"b", {.bits = 8}}},
                            std::vector<NamedCase>{{"a", asymmetric}}})
    EXPECT_EQ(format.caution(plan_for(source, cases)), "");
}

// Without it transformers 5.24 looks for the weight of a packed embedding, and finds none.
TEST(CompressedTensors, AnEmbeddingIsATargetAndAsksToBeDequantized) {
  const std::vector<NamedCase> one = {{"a", {}}, {"model.embed_tokens", {}}},
                               two = {{"a", {}}, {"model.embed_tokens", {.bits = 8}}};
  const nlohmann::json config = written_config(one);
  EXPECT_EQ(config["config_groups"]["group_0"]["targets"],
            nlohmann::json({"Linear", "model.embed_tokens"}));
  EXPECT_EQ(config.value("dequantize", false), true);
  EXPECT_FALSE(written_config(two).contains("dequantize"));
  const SourceModel source;
  const Format& format = find_format("compressed-tensors");
  EXPECT_EQ(format.caution(plan_for(source, one)), "");
  EXPECT_NE(format.caution(plan_for(source, two)).find("a quantized embedding"), std::string::npos);
}

TEST(CompressedTensors, WholeRowsAreStrategyChannel) {
  const auto weights =
      written_config({{"a", {.group_size = 0}}})["config_groups"]["group_0"]["weights"];
  EXPECT_EQ(weights.at("strategy"), "channel");
  EXPECT_TRUE(weights.at("group_size").is_null());
}

TEST(CompressedTensors, LinearsOfSeveralGridsAreNamedInGroupsOfTheirOwn) {
  const auto groups = written_config(
      {{"a", {}}, {"b", {.bits = 8}}, {"c", {}}, {"d", {.symmetric = false}}})["config_groups"];
  EXPECT_EQ(groups["group_0"]["targets"], (nlohmann::json{"a", "c"}));
  EXPECT_EQ(groups["group_1"]["targets"], nlohmann::json::array({"b"}));
  EXPECT_EQ(groups["group_2"]["targets"], nlohmann::json::array({"d"}));
}

TEST(CompressedTensors, MixedGridsComeBack) {
  const SourceModel source;
  TemporaryFolder folder;
  const std::vector<NamedCase> cases = {{"a", {}},
                                        {"b", {.bits = 8}},
                                        {"c", {.bits = 3, .group_size = 16}},
                                        {"d", {.symmetric = false}}};
  const auto written = write_cases(folder / "m", "compressed-tensors", source, cases);
  EXPECT_NO_THROW(verify_written(folder / "m", written));
}

std::string refused(const LinearCase& options, at::ScalarType dtype) {
  const SourceModel source(dtype);
  const std::string why =
      find_format("compressed-tensors").refusal(plan_for(source, {{"x.y", options}}, dtype));
  EXPECT_TRUE(why.empty() || why.starts_with("x.y: ")) << why;
  return why;
}

TEST(CompressedTensors, RefusesWhatItsFilesCannotHold) {
  EXPECT_NE(refused({.scale_bits = 11}, at::kBFloat16).find("11 significant bits"),
            std::string::npos);
  EXPECT_EQ(refused({.scale_bits = 11}, at::kHalf), "");
  EXPECT_NE(refused({.scale_bits = 0}, at::kHalf).find("24 significant bits"), std::string::npos);
  EXPECT_EQ(refused({.scale_bits = 0}, at::kFloat), "");
  EXPECT_NE(refused({.group_size = 48}, at::kHalf).find("no multiple of the group size 48"),
            std::string::npos);
  EXPECT_NE(refused({.dynamic_groups = true}, at::kHalf).find("static groups"), std::string::npos);
  EXPECT_EQ(refused({.group_size = 1024}, at::kHalf), "");  // longer than the row: one group
}

TEST(CompressedTensors, OddWidthsAreWrittenOnRequestOnlyAndSayHowTheyArePacked) {
  const SourceModel source;
  for (const int bits : {2, 3, 4, 5, 6, 7, 8}) {
    const NamedCase one = {"a", {.bits = bits}};
    const bool odd = bits != 2 && bits != 4 && bits != 8;
    EXPECT_EQ(find_format("compressed-tensors").only_on_request(plan_for(source, {one})), odd);
    TemporaryFolder folder;
    write_cases(folder / "m", "compressed-tensors", source, {one});
    EXPECT_EQ(Checkpoint(folder / "m").metadata().contains("halftone.packing"), odd);
  }
}

TEST(CompressedTensors, AScaleThatTheModelsTypeWouldRoundIsAnError) {
  const SourceModel source;
  TemporaryFolder folder;
  const auto writer =
      find_format("compressed-tensors").open_writer(folder.path(), plan_for(source, {{"a", {}}}));
  const std::string message = testing::message_of(
      [&] { writer->add_linear(finish_linear("a", make_linear({.scale_bits = 11}))); });
  EXPECT_NE(message.find("is not exact in BF16"), std::string::npos) << message;
}

nlohmann::json config_of(int bits, bool symmetric = true) {
  return nlohmann::json::parse(fmt::format(R"({{"quantization_config": {{
    "quant_method": "compressed-tensors", "format": "pack-quantized",
    "quantization_status": "compressed", "config_groups": {{"group_0": {{"targets": ["Linear"],
      "weights": {{"num_bits": {}, "type": "int", "symmetric": {}, "strategy": "channel",
                   "dynamic": false}}}}}}}}}})",
                                           bits, symmetric));
}

// 3 bits, 70 columns: 7 words dense and padded alike.
std::string codes_by(const nlohmann::json& version, const std::string& file) {
  const SafetensorsFile packed(
      testing::test_data("format/compressed_tensors/packing/" + file + ".safetensors"));
  TemporaryFolder folder;
  nlohmann::json config = config_of(3);
  if (!version.is_null()) config["quantization_config"]["version"] = version;
  write_folder(folder / "m", config,
               {{"a.weight_packed", packed.view(*packed.find("packed_b3_dim1"))},
                {"a.weight_scale", at::ones({6, 1}, at::kBFloat16)},
                {"a.weight_shape", at::tensor({6, 70}, at::kLong)}});
  if (version.is_null()) return reading_error(folder / "m");
  const at::Tensor codes = packed.view(*packed.find("codes_b3")).to(at::kFloat);
  return at::equal(open_model(folder / "m")->load("a.weight"), codes) ? "right" : "wrong";
}

TEST(CompressedTensors, EquallyLongPackingsAreToldApartByVersionElseRefused) {
  EXPECT_EQ(codes_by("0.19.0", "new"), "right");
  EXPECT_EQ(codes_by("0.20.1", "new"), "right");
  EXPECT_EQ(codes_by("0.17.2", "old"), "right");
  EXPECT_EQ(codes_by("0.13.0", "old"), "right");
  EXPECT_NE(codes_by(nullptr, "new").find("names no version"), std::string::npos);
}

TEST(CompressedTensors, PaddedWordsOfOldLibrariesAreKnownByTheirNumber) {
  const SafetensorsFile packed(
      testing::test_data("format/compressed_tensors/packing/old.safetensors"));
  for (const int bits : {5, 7}) {
    const std::string suffix = "b" + std::to_string(bits);
    TemporaryFolder folder;
    write_folder(folder / "m", config_of(bits),
                 {{"a.weight_packed", packed.view(*packed.find("packed_" + suffix + "_dim1"))},
                  {"a.weight_scale", at::ones({6, 1}, at::kBFloat16)},
                  {"a.weight_shape", at::tensor({6, 70}, at::kLong)}});
    EXPECT_TRUE(at::equal(open_model(folder / "m")->load("a.weight"),
                          packed.view(*packed.find("codes_" + suffix)).to(at::kFloat)));
  }
}

constexpr LinearCase kAsymmetric = {.symmetric = false};  // (32, 64), 4 bits, groups of 32

Tensors good_tensors() {
  static Tensors tensors;
  if (!tensors.empty()) return tensors;
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "compressed-tensors", source, {{"a", kAsymmetric}});
  const Checkpoint checkpoint(folder / "m");
  for (const std::string& name : checkpoint.names()) tensors[name] = checkpoint.load(name).clone();
  return tensors;
}

std::string error_with(const std::function<void(nlohmann::json&, Tensors&)>& spoil) {
  TemporaryFolder folder;
  nlohmann::json config = config_of(4, false);
  config["quantization_config"]["config_groups"]["group_0"]["weights"].update(
      {{"strategy", "group"}, {"group_size", 32}});
  Tensors tensors = good_tensors();
  spoil(config["quantization_config"], tensors);
  write_folder(folder / "m", config, tensors);
  return reading_error(folder / "m");
}

TEST(CompressedHostile, EveryImpossibleWeightSettingIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"num_bits", {-4, 0, 1, 3, 8, 9, 1e9, 4.0, "4", nullptr}},
      {"group_size", {0, -1, -32, 16, 48, 64, int64_t{1} << 40, "32", nullptr}},
      {"symmetric", {true, "no"}},
      {"strategy", {"tensor", "block", "channel", nullptr, 3}},
      {"type", {"float"}},
      {"dynamic", {true, "local"}},
      {"actorder", {"descending"}},
      {"zp_dtype", {"torch.bfloat16"}},
      {"block_structure", {{128, 128}}},
      {"surprise", {1, nullptr}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      const auto spoil = [&](auto& config, Tensors&) {
        config["config_groups"]["group_0"]["weights"][key] = value;
      };
      EXPECT_NE(error_with(spoil), "");
    }
}

TEST(CompressedHostile, WhatChangesTheModelBeyondItsWeightsIsRefused) {
  const nlohmann::json something = {{"x", 1}};
  for (const char* key : {"transform_config", "sparsity_config", "kv_cache_scheme"})
    EXPECT_NE(error_with([&](auto& config, Tensors&) { config[key] = something; }).find(key),
              std::string::npos);
  for (const char* key : {"input_activations", "output_activations", "surprise"})
    EXPECT_NE(error_with([&](auto& config, Tensors&) {
                config["config_groups"]["group_0"][key] = something;
              }).find(key),
              std::string::npos);
  for (const nlohmann::json& groups :
       {nlohmann::json(1), nlohmann::json::object(), nlohmann::json{{"g", 1}},
        nlohmann::json{{"g", {{"targets", 1}}}}})
    EXPECT_NE(error_with([&](auto& config, Tensors&) { config["config_groups"] = groups; }), "");
  EXPECT_NE(error_with([](auto& config, Tensors&) { config["format"] = "naive-quantized"; }), "");
  EXPECT_NE(error_with([](auto& config, Tensors&) { config["quantization_status"] = "frozen"; }),
            "");
}

TEST(CompressedHostile, EveryTensorThatLiesIsAnErrorThatNamesTheLinear) {
  const auto shape = [](int64_t out, int64_t in) { return at::tensor({out, in}, at::kLong); };
  const std::map<std::string, std::vector<at::Tensor>> values = {
      {"a.weight_packed",
       {at::zeros({32, 7}, at::kInt), at::zeros({31, 8}, at::kInt), at::zeros({32, 8}, at::kLong),
        at::zeros({256}, at::kInt)}},
      {"a.weight_scale",
       {at::zeros({32, 1}, at::kBFloat16), at::zeros({31, 2}, at::kBFloat16),
        at::zeros({32, 2}, at::kInt), at::full({32, 2}, NAN, at::kBFloat16)}},
      {"a.weight_zero_point",
       {at::zeros({4, 1}, at::kInt), at::zeros({32, 2}, at::kChar), at::zeros({3, 2}, at::kInt)}},
      {"a.weight_shape",
       {shape(64, 32), shape(32, -64), shape(32, 0), shape(32, INT64_MAX), shape(32, 63 * 1024),
        at::zeros({3}, at::kLong), at::zeros({2}, at::kInt)}},
      {"a.weight_g_idx",
       {at::zeros({63}, at::kInt), at::full({64}, 2, at::kInt), at::arange(64, at::kInt) - 1,
        at::zeros({64}, at::kLong)}}};
  for (const auto& [name, hostile] : values)
    for (const at::Tensor& value : hostile) {
      SCOPED_TRACE(
          fmt::format("{} of {} dimensions, {} numbers", name, value.dim(), value.numel()));
      const std::string message =
          error_with([&](auto&, Tensors& tensors) { tensors[name] = value; });
      EXPECT_NE(message.find("m: a: "), std::string::npos) << message;
    }
  for (const std::string part :
       {".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape"})
    EXPECT_NE(error_with([&](auto&, Tensors& tensors) { tensors.erase("a" + part); }), "") << part;
}

TEST(CompressedTensors, LegacyGroupIndexIsRead) {
  const LinearCase dynamic = {.symmetric = false, .dynamic_groups = true};
  const at::Tensor index = make_linear(dynamic).group_of_column;
  for (const auto& [stored, expected] : std::vector<std::pair<at::Tensor, QuantizedLinear>>{
           {index, make_linear(dynamic)},
           {at::full({64}, -1, at::kInt), make_linear(kAsymmetric)}}) {
    TemporaryFolder folder;
    nlohmann::json config = config_of(4, false);
    config["quantization_config"]["config_groups"]["group_0"]["weights"].update(
        {{"strategy", "group"}, {"group_size", 32}, {"actorder", "group"}});
    Tensors tensors = good_tensors();
    tensors["a.weight_g_idx"] = stored;
    write_folder(folder / "m", config, tensors);
    EXPECT_TRUE(at::equal(open_model(folder / "m")->load("a.weight"), dequantize(expected)));
  }
}

}  // namespace
}  // namespace halftone
