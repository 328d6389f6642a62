#include <gtest/gtest.h>

#include <functional>

#include "format/support.h"

namespace halftone {
namespace {

using testing::make_linear;
using testing::plan_for;
using testing::reading_error;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_cases;
using testing::write_folder;
using Tensors = std::map<std::string, at::Tensor>;

std::vector<int> bytes_of(const Checkpoint& checkpoint, const std::string& name) {
  const at::Tensor tensor = checkpoint.load(name);
  const auto* data = static_cast<const uint8_t*>(tensor.const_data_ptr());
  return {data, data + tensor.nbytes()};
}

// Two rows of five columns, 3 bits, groups of two (the last of one), asymmetric, columns grouped
// backwards.
QuantizedLinear worked_example() {
  QuantizedLinear linear;
  linear.bits = 3;
  linear.group_size = 2;
  linear.symmetric = false;
  linear.codes = at::tensor({1, 2, 3, 4, 5, 7, 0, 7, 0, 7}, at::kByte).reshape({2, 5});
  linear.scales = at::tensor({1.0, 0.5, 0.25, 2.0, 1.5, 0.125}, at::kFloat).reshape({2, 3});
  linear.zeros = at::tensor({1, 2, 3, 4, 5, 6}, at::kByte).reshape({2, 3});
  linear.group_of_column = at::tensor({2, 1, 1, 0, 0}, at::kInt);
  return linear;
}

LinearPlan worked_plan() {
  LinearPlan plan{.name = "a", .out = 2, .in = 5, .recipe = {}};
  plan.recipe.grid = {.bits = 3, .group_size = 2, .symmetric = false, .scale_bits = 2};
  plan.recipe.order = {.kind = OrderKind::kActivation, .static_groups = false};
  return plan;
}

// Version 1, for ever: these bytes are what the documentation shows.
TEST(Native, BytesOfVersion1AreTheDocumentedOnes) {
  const SourceModel source;
  TemporaryFolder folder;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(worked_plan());
  const auto writer = find_format("native").open_writer(folder.path(), plan);
  writer->add_linear("a", worked_example());
  writer->finish({});
  const Checkpoint written(folder.path());
  EXPECT_EQ(written.info("a.codes").shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(bytes_of(written, "a.codes"), (std::vector<int>{0xD1, 0x58, 0xC7, 0x71}));
  EXPECT_EQ(written.info("a.scales").dtype, "F16");
  EXPECT_EQ(bytes_of(written, "a.scales"), (std::vector<int>{0x00, 0x3C, 0x00, 0x38, 0x00, 0x34,
                                                             0x00, 0x40, 0x00, 0x3E, 0x00, 0x30}));
  EXPECT_EQ(bytes_of(written, "a.zeros"), (std::vector<int>{0xD1, 0x58, 0x03}));
  EXPECT_EQ(bytes_of(written, "a.group_index"),
            (std::vector<int>{2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":3,"group_index":true,"group_size":2,"kind":"uniform",)"
            R"("shape":[2,5],"symmetric":false}},"version":1})");
  EXPECT_EQ(
      written.config().at("quantization_config"),
      nlohmann::json::parse(R"({"format": "native", "quant_method": "halftone", "version": 1})"));
}

TEST(Native, ADocumentedFolderOfVersion1IsRead) {
  TemporaryFolder folder;
  const nlohmann::json config = {
      {"quantization_config",
       {{"quant_method", "halftone"}, {"format", "native"}, {"version", 1}}}};
  write_folder(folder / "m", config,
               {{"a.codes", at::tensor({0xD1, 0x58, 0xC7, 0x71}, at::kByte).reshape({2, 2})},
                {"a.scales", worked_example().scales.to(at::kHalf)},
                {"a.zeros", at::tensor({0xD1, 0x58, 0x03}, at::kByte)},
                {"a.group_index", worked_example().group_of_column}},
               {{"halftone.native",
                 R"({"version": 1, "linears": {"a": {"kind": "uniform", "bits": 3, "shape": [2, 5],
                 "group_size": 2, "symmetric": false, "group_index": true}}})"}});
  const at::Tensor expected = at::tensor({-0.5, 0.0, 0.5, 3.0, 4.0,  //
                                          0.125, -7.5, 3.0, -8.0, 6.0},
                                         at::kFloat)
                                  .reshape({2, 5});
  EXPECT_TRUE(at::equal(open_model(folder / "m")->load("a.weight"), expected));
}

TEST(Native, ScalesTakeTheSmallestTypeThatHoldsThem) {
  const SourceModel source;
  const auto dtype_of = [&](int scale_bits, double factor) {
    TemporaryFolder folder;
    const auto writer = find_format("native").open_writer(
        folder.path(), plan_for(source, {{"a", {.scale_bits = scale_bits}}}));
    QuantizedLinear linear = make_linear({.scale_bits = scale_bits});
    linear.scales = linear.scales * factor;
    writer->add_linear("a", linear);
    writer->finish({});
    EXPECT_NO_THROW(verify_written(folder.path(), writer->fingerprints()));
    return Checkpoint(folder.path()).info("a.scales").dtype;
  };
  EXPECT_EQ(dtype_of(8, 1), "F16");
  EXPECT_EQ(dtype_of(11, 1), "F16");
  EXPECT_EQ(dtype_of(8, 0x1p-60), "BF16");
  EXPECT_EQ(dtype_of(0, 1), "F32");
}

TEST(Native, OneBitGridsAndRaggedRowsAreHeld) {
  const SourceModel source;
  TemporaryFolder folder;
  const auto written = write_cases(
      folder / "m", "native", source,
      {{"a", {.out = 3, .in = 13, .bits = 1, .group_size = 4, .symmetric = false}},
       {"b",
        {.out = 1, .in = 1, .bits = 7, .group_size = 0, .symmetric = false, .scale_bits = 0}}});
  EXPECT_NO_THROW(verify_written(folder / "m", written));
}

struct NativeFolder {
  nlohmann::json config, description;
  Tensors tensors;
};

// One linear, (32, 64), 4 bits, groups of 32 with a group index.
NativeFolder good_folder() {
  static NativeFolder native;
  if (!native.tensors.empty()) return native;
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "native", source,
              {{"a", {.symmetric = false, .dynamic_groups = true}}});
  const Checkpoint checkpoint(folder / "m");
  native.config = checkpoint.config();
  native.description = nlohmann::json::parse(checkpoint.metadata().at("halftone.native"));
  for (const std::string& name : checkpoint.names())
    native.tensors[name] = checkpoint.load(name).clone();
  return native;
}

std::string error_with(const std::function<void(NativeFolder&)>& spoil) {
  TemporaryFolder folder;
  NativeFolder native = good_folder();
  spoil(native);
  write_folder(folder / "spoilt", native.config, native.tensors,
               {{"halftone.native", native.description.dump()}});
  return reading_error(folder / "spoilt");
}

TEST(NativeHostile, EveryImpossibleDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {-1, 0, 3, 9, 1e9, 4.0, "4", nullptr}},
      {"kind", {"bilevel", nullptr, 1}},
      {"shape",
       {{32},
        {32, -64},
        {0, 64},
        {32, 64.0},
        {32, 128},
        {INT64_MAX, INT64_MAX},
        nullptr,
        {"32", "64"},
        {32, 64, 1}}},
      {"group_size", {0, -1, 16, 65, int64_t{1} << 50, nullptr}},
      {"symmetric", {true, nullptr, 0}},
      {"group_index", {false, nullptr}},
      {"outliers", {1}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with(
                    [&](NativeFolder& native) { native.description["linears"]["a"][key] = value; }),
                "");
    }
}

TEST(NativeHostile, AnotherVersionOrAKeyOfOneIsRefused) {
  for (const nlohmann::json& version :
       {nlohmann::json(0), nlohmann::json(2), nlohmann::json("1")}) {
    EXPECT_NE(
        error_with([&](auto& native) { native.description["version"] = version; }).find("version"),
        std::string::npos);
    EXPECT_NE(error_with([&](auto& native) {
                native.config["quantization_config"]["version"] = version;
              }).find("version"),
              std::string::npos);
  }
  EXPECT_NE(error_with([](auto& native) { native.description["more"] = 1; }).find("more"),
            std::string::npos);
  EXPECT_NE(error_with([](auto& native) { native.config["quantization_config"]["more"] = 1; }), "");
}

TEST(NativeHostile, TensorsAndDescriptionMustMatch) {
  EXPECT_NE(error_with([](auto& native) { native.description["linears"].erase("a"); }), "");
  EXPECT_NE(error_with([](auto& native) {
              native.description["linears"]["b"] = native.description["linears"]["a"];
            }).find("b"),
            std::string::npos);
  for (const std::string part : {".codes", ".scales", ".zeros", ".group_index"})
    EXPECT_NE(error_with([&](auto& native) { native.tensors.erase("a" + part); }).find(part),
              std::string::npos);
  const std::map<std::string, std::vector<at::Tensor>> values = {
      {"a.codes", {at::zeros({32, 31}, at::kByte), at::zeros({32, 32}, at::kChar)}},
      {"a.scales",
       {at::zeros({32, 3}, at::kHalf), at::zeros({32, 2}, at::kDouble),
        at::full({32, 2}, -INFINITY, at::kFloat)}},
      {"a.zeros", {at::zeros({31}, at::kByte), at::zeros({32}, at::kInt)}},
      {"a.group_index",
       {at::zeros({64}, at::kLong), at::full({64}, 2, at::kInt), at::full({64}, -1, at::kInt),
        at::zeros({65}, at::kInt)}}};
  for (const auto& [name, hostile] : values)
    for (const at::Tensor& value : hostile) {
      const std::string message = error_with([&](auto& native) { native.tensors[name] = value; });
      EXPECT_NE(message.find(": a: "), std::string::npos) << message;
    }
}

}  // namespace
}  // namespace halftone
