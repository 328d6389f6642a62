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
  return {.name = "a",
          .out = 2,
          .in = 5,
          .grid = {.bits = 3, .group_size = 2, .scale_bits = 2, .group_index = true}};
}

// Version 1, for ever: these bytes are what the documentation shows.
TEST(Native, BytesOfVersion1AreTheDocumentedOnes) {
  const SourceModel source;
  TemporaryFolder folder;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(worked_plan());
  const auto writer = find_format("native").open_writer(folder.path(), plan);
  writer->add_linear(finish_linear("a", worked_example()));
  writer->finish({});
  const Checkpoint written(folder.path());
  EXPECT_EQ(written.stored("a.codes").shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(bytes_of(written, "a.codes"), (std::vector<int>{0xD1, 0x58, 0xC7, 0x71}));
  EXPECT_EQ(written.stored("a.scales").dtype, "F16");
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
    writer->add_linear(finish_linear("a", linear));
    writer->finish({});
    EXPECT_NO_THROW(verify_written(folder.path(), writer->fingerprints()));
    return Checkpoint(folder.path()).stored("a.scales").dtype;
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

// Kind bilevel with every part there can be: two rows of one run, groups of two, fractional zeros.
QuantizedLinear bilevel_example() {
  QuantizedLinear linear = worked_example();
  linear.bilevel = {
      .run_size = 16,
      .scales = {.bits = 3,
                 .codes = at::tensor({0, 1, 7, 2, 0, 7}, at::kByte).reshape({2, 3}),
                 .steps = at::tensor({0.5, 1.0, 0.25}, at::kFloat).reshape({1, 3}),
                 .zeros = at::tensor({-1.0, -2.0, -0.5}, at::kFloat).reshape({1, 3})},
      .zeros = SecondLevel{.bits = 2,
                           .codes = at::tensor({0, 1, 2, 3, 2, 1}, at::kByte).reshape({2, 3}),
                           .steps = at::tensor({1.5, 0.5, 1.0}, at::kFloat).reshape({1, 3}),
                           .zeros = at::tensor({-1.0, 1.0, 0.0}, at::kFloat).reshape({1, 3})}};
  linear.scales = reconstruct(linear.bilevel->scales, 16);
  linear.zeros = reconstruct(*linear.bilevel->zeros, 16);
  linear.dead_columns = at::tensor({3}, at::kInt);
  linear.outliers = {.row_starts = at::tensor({0, 2, 3}, at::kLong),
                     .columns = at::tensor({0, 4, 1}, at::kInt),
                     .values = at::tensor({1.5, -2.0, 0.125}, at::kFloat)};
  return linear;
}

TEST(Native, BytesOfABilevelLinearAreTheDocumentedOnes) {
  const SourceModel source;
  TemporaryFolder folder;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(worked_plan());
  StoredGrid& grid = plan.linears[0].grid;
  grid.kind = GridKind::kBilevel;
  grid.run_size = 16;
  grid.scale_code_bits = 3;
  grid.zero_code_bits = 2;
  grid.outliers = true;
  const auto writer = find_format("native").open_writer(folder.path(), plan);
  writer->add_linear(finish_linear("a", bilevel_example()));
  writer->finish({});
  const Checkpoint written(folder.path());
  const std::map<std::string, std::pair<std::string, std::vector<int>>> documented = {
      {"a.codes", {"U8", {0xD1, 0x58, 0xC7, 0x71}}},
      {"a.scale_codes", {"U8", {0xC8, 0x85, 0x03}}},
      {"a.scale_steps", {"F16", {0x00, 0x38, 0x00, 0x3C, 0x00, 0x34}}},
      {"a.scale_zeros", {"F16", {0x00, 0xBC, 0x00, 0xC0, 0x00, 0xB8}}},
      {"a.zero_codes", {"U8", {0xE4, 0x06}}},
      {"a.zero_steps", {"F16", {0x00, 0x3E, 0x00, 0x38, 0x00, 0x3C}}},
      {"a.zero_zeros", {"F16", {0x00, 0xBC, 0x00, 0x3C, 0x00, 0x00}}},
      {"a.group_index", {"U8", {2, 1, 1, 0, 0}}},
      {"a.dead_columns", {"I32", {3, 0, 0, 0}}},
      {"a.outlier_counts", {"U16", {2, 0, 1, 0}}},
      {"a.outlier_columns", {"U16", {0, 0, 4, 0, 1, 0}}},
      {"a.outlier_values", {"F16", {0x00, 0x3E, 0x00, 0xC0, 0x00, 0x30}}}};
  EXPECT_EQ(written.names().size(), documented.size());
  for (const auto& [name, expected] : documented) {
    EXPECT_EQ(written.stored(name).dtype, expected.first) << name;
    EXPECT_EQ(bytes_of(written, name), expected.second) << name;
  }
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":3,"group_index":true,"group_size":2,"kind":"bilevel",)"
            R"("outliers":true,"run_size":16,"scale_code_bits":3,"shape":[2,5],)"
            R"("symmetric":false,"zero_code_bits":2}},"version":1})");
  const at::Tensor expected = at::tensor({1.5, 6.0, 9.0, 0.0, -2.0,  //
                                          11.25, 0.125, 13.0, 0.0, 1.5},
                                         at::kFloat)
                                  .reshape({2, 5});
  EXPECT_TRUE(at::equal(open_model(folder.path())->load("a.weight"), expected))
      << open_model(folder.path())->load("a.weight");
}

TEST(Native, EveryPartComesBackNumberForNumber) {
  const SourceModel source;
  std::vector<testing::NamedCase> cases;
  for (const int64_t run_size : {0, 2, 16, 64})
    for (const int zero_code_bits : {0, 3})
      for (const bool outliers : {false, true})
        cases.push_back({fmt::format("linear.{}", cases.size()),
                         {.out = 21,
                          .in = 70,
                          .bits = 3,
                          .group_size = 16,
                          .symmetric = run_size == 2 && zero_code_bits == 0,
                          .dynamic_groups = outliers,
                          .run_size = run_size,
                          .scale_code_bits = 5,
                          .zero_code_bits = zero_code_bits,
                          .outliers = outliers,
                          .dead_columns = zero_code_bits > 0 ? std::vector<int32_t>{0, 9, 69}
                                                             : std::vector<int32_t>{}}});
  TemporaryFolder folder;
  const auto written = write_cases(folder / "m", "native", source, cases);
  EXPECT_NO_THROW(verify_written(folder / "m", written));
  const auto model = open_model(folder / "m");
  size_t stored = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const QuantizedLinear expected = make_linear(cases[i].options, i + 1);
    const QuantizedLinear actual = model->read_linear(cases[i].name);
    EXPECT_EQ(first_difference(expected, actual), "");
    EXPECT_EQ(actual.bilevel.has_value(), expected.bilevel.has_value());
    EXPECT_EQ(actual.outliers.has_value(), expected.outliers.has_value());
    EXPECT_EQ(actual.dead_columns.defined(), expected.dead_columns.defined());
    EXPECT_EQ(bits_per_weight(actual), bits_per_weight(expected));
    EXPECT_NO_THROW(check_linear(actual));
    EXPECT_NO_THROW(check_planned(actual, plan_of(cases[i].name, actual)));
    stored += model->linear_bytes(cases[i].name);
  }
  for (const auto& [name, tensor] : source.tensors()) stored += size_t(tensor.nbytes());
  EXPECT_EQ(stored, model->source().stored_bytes());
}

TEST(Native, OutliersOfAVeryWideRowTakeLongColumns) {
  const SourceModel source;
  TemporaryFolder folder;
  const auto written =
      write_cases(folder / "m", "native", source,
                  {{"a", {.out = 1, .in = 65536, .group_size = 0, .outliers = true}}});
  EXPECT_NO_THROW(verify_written(folder / "m", written));
  for (const std::string part : {"a.outlier_counts", "a.outlier_columns"})
    EXPECT_EQ(Checkpoint(folder / "m").stored(part).dtype, "I32");
}

TEST(Native, NoOutliersAtAllIsAnEmptySidecar) {
  const SourceModel source;
  TemporaryFolder folder;
  QuantizedLinear linear = make_linear({.outliers = true});
  linear.outliers = {.row_starts = at::zeros({33}, at::kLong),
                     .columns = at::empty({0}, at::kInt),
                     .values = at::empty({0}, at::kFloat)};
  const auto writer = find_format("native").open_writer(
      folder.path(), plan_for(source, {{"a", {.outliers = true}}}));
  writer->add_linear(finish_linear("a", linear));
  writer->finish({});
  EXPECT_NO_THROW(verify_written(folder.path(), writer->fingerprints()));
  EXPECT_EQ(open_model(folder.path())->read_linear("a").outliers->count(), 0);
}

TEST(Native, OtherFormatsRefuseWhatIsNoUniformGrid) {
  const SourceModel source;
  for (const Format& format : formats()) {
    const bool holds = format.name == "native" || format.name == "dense";
    EXPECT_EQ(format.refusal(plan_for(source, {{"a", {.run_size = 16}}})).empty(), holds);
    EXPECT_EQ(format.refusal(plan_for(source, {{"a", {.outliers = true}}})).empty(), holds);
  }
  EXPECT_EQ(default_format(plan_for(source, {{"a", {.run_size = 16}}})).name, "native");
}

struct NativeFolder {
  nlohmann::json config, description;
  Tensors tensors;
};

// One linear, "a".
NativeFolder folder_of(const testing::LinearCase& options) {
  NativeFolder native;
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "native", source, {{"a", options}});
  const Checkpoint checkpoint(folder / "m");
  native.config = checkpoint.config();
  native.description = nlohmann::json::parse(checkpoint.metadata().at("halftone.native"));
  for (const std::string& name : checkpoint.names())
    native.tensors[name] = checkpoint.load(name).clone();
  return native;
}

// (32, 64), 4 bits, groups of 32 with a group index.
const NativeFolder& good_folder() {
  static const NativeFolder native = folder_of({.symmetric = false, .dynamic_groups = true});
  return native;
}

// The same size, bilevel in two runs, with outliers and a dead column.
const NativeFolder& bilevel_folder() {
  static const NativeFolder native =
      folder_of({.symmetric = false, .run_size = 16, .outliers = true, .dead_columns = {5}});
  return native;
}

std::string error_with(const std::function<void(NativeFolder&)>& spoil,
                       const NativeFolder& good = good_folder()) {
  TemporaryFolder folder;
  NativeFolder native = good;
  spoil(native);
  write_folder(folder / "spoilt", native.config, native.tensors,
               {{"halftone.native", native.description.dump()}});
  return reading_error(folder / "spoilt");
}

TEST(NativeHostile, EveryImpossibleDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {-1, 0, 3, 9, 1e9, 4.0, "4", nullptr}},
      {"kind", {"bilevel", "trilevel", nullptr, 1}},
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

TEST(NativeHostile, EveryImpossibleBilevelDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"kind", {"uniform"}},
      {"run_size", {0, -1, 8, 32, 16.0, int64_t{1} << 40, nullptr}},
      {"scale_code_bits", {0, 2, 9, "3", nullptr}},
      {"zero_code_bits", {0, 4, 9, -1, nullptr}},
      {"symmetric", {true}},
      {"outliers", {false, nullptr, 1}},
      {"group_index", {true}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(
          error_with([&](NativeFolder& native) { native.description["linears"]["a"][key] = value; },
                     bilevel_folder()),
          "");
    }
}

TEST(NativeHostile, BilevelTensorsAndTheSidecarMustMatch) {
  const auto count = bilevel_folder().tensors.at("a.outlier_values").size(0);
  for (const std::string part :
       {".codes", ".scale_codes", ".scale_steps", ".scale_zeros", ".zero_codes", ".zero_steps",
        ".zero_zeros", ".outlier_counts", ".outlier_columns", ".outlier_values"})
    EXPECT_NE(error_with([&](auto& native) { native.tensors.erase("a" + part); }, bilevel_folder())
                  .find(part),
              std::string::npos);
  const auto changed = [&](const std::string& name, int64_t at, double value) {
    at::Tensor tensor = bilevel_folder().tensors.at(name).to(at::kDouble);
    tensor[at] = value;
    return tensor;
  };
  const at::Tensor infinite = at::full({2, 2}, INFINITY, at::kHalf);
  const std::map<std::string, std::vector<at::Tensor>> values = {
      {"a.scale_codes", {at::zeros({25}, at::kByte), at::zeros({24}, at::kChar)}},
      {"a.scale_steps", {infinite, at::zeros({2, 2}, at::kFloat), at::zeros({1, 2}, at::kHalf)}},
      {"a.zero_zeros", {infinite * 0, at::zeros({4}, at::kHalf)}},
      {"a.zeros", {at::zeros({32}, at::kByte)}},
      {"a.scales", {at::zeros({32, 2}, at::kHalf)}},
      {"a.dead_columns",
       {at::tensor({64}, at::kInt), at::tensor({-1}, at::kInt), at::tensor({5, 5}, at::kInt),
        at::tensor({7, 5}, at::kInt), at::empty({0}, at::kInt), at::tensor({5}, at::kLong)}},
      {"a.outlier_counts",
       {changed("a.outlier_counts", 0, 63).to(at::kInt).to(at::kUInt16),
        changed("a.outlier_counts", 3, 65535).to(at::kInt).to(at::kUInt16),
        changed("a.outlier_counts", 3, 0).to(at::kInt).to(at::kUInt16), at::zeros({32}, at::kInt),
        at::zeros({31}, at::kInt).to(at::kUInt16)}},
      {"a.outlier_columns",
       {changed("a.outlier_columns", 0, 64).to(at::kInt).to(at::kUInt16),
        changed("a.outlier_columns", 1, 0).to(at::kInt).to(at::kUInt16),
        at::zeros({count}, at::kInt), at::zeros({count + 1}, at::kInt).to(at::kUInt16)}},
      {"a.outlier_values",
       {changed("a.outlier_values", 0, INFINITY).to(at::kHalf), at::zeros({count, 1}, at::kHalf),
        at::zeros({count}, at::kFloat)}}};
  for (const auto& [name, hostile] : values)
    for (const at::Tensor& value : hostile) {
      SCOPED_TRACE(name);
      const std::string message =
          error_with([&](auto& native) { native.tensors[name] = value; }, bilevel_folder());
      EXPECT_NE(message.find(": a: "), std::string::npos) << message;
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
