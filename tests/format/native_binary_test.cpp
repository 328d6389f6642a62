// Kind "binary" of the native container: golden bytes, the way back, hostile files.
#include <gtest/gtest.h>

#include <functional>

#include "format/support.h"

namespace halftone {
namespace {

using testing::plan_for;
using testing::reading_error;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_folder;
using Tensors = std::map<std::string, at::Tensor>;

at::Tensor numbers(std::initializer_list<float> values, std::vector<int64_t> shape) {
  return at::tensor(std::vector<float>(values), at::kFloat).reshape(shape);
}

// Two rows of five columns, one group; column 3 is salient, column 4 dead.
QuantizedLinear worked_example() {
  QuantizedLinear linear;
  linear.bits = 2;
  linear.group_size = 5;
  linear.codes = at::tensor({0, 1, 2, 3, 0, 3, 2, 1, 0, 0}, at::kByte).reshape({2, 5});
  linear.dead_columns = at::tensor({4}, at::kInt);
  linear.binary = {.salient = at::tensor({0, 0, 0, 1, 0}, at::kByte),
                   .means = numbers({0, 0.5, 1, 0.25, 0.125, -0.5, -1, 0}, {2, 1, 4}),
                   .scales = numbers({1, 2, 4, 0.5, 0.5, 1.5, 2, 0.25}, {2, 1, 4})};
  return linear;
}

at::Tensor worked_weights() {
  return numbers({-1, 1, -1.5, 5.75, 0, 1, -2, 0.625, -3.25, 0}, {2, 5});
}

LinearPlan binary_plan(const QuantizedLinear& linear) {
  return plan_of("a", linear);
}

void write_linear(const std::filesystem::path& folder, const QuantizedLinear& linear) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(binary_plan(linear));
  std::filesystem::create_directories(folder);
  const auto writer = find_format("native").open_writer(folder, plan);
  writer->add_linear(finish_linear("a", linear));
  writer->finish({});
  EXPECT_NO_THROW(verify_written(folder, writer->fingerprints()));
}

std::vector<int> bytes_of(const Checkpoint& checkpoint, const std::string& name) {
  const at::Tensor tensor = checkpoint.load(name);
  const auto* data = static_cast<const uint8_t*>(tensor.const_data_ptr());
  return {data, data + tensor.nbytes()};
}

// For ever: these bytes are what the documentation shows.
TEST(NativeBinary, BytesAreTheDocumentedOnes) {
  TemporaryFolder folder;
  write_linear(folder.path(), worked_example());
  const Checkpoint written(folder.path());
  EXPECT_EQ(bytes_of(written, "a.codes"), (std::vector<int>{0xE4, 0x00, 0x1B, 0x00}));
  EXPECT_EQ(bytes_of(written, "a.salient"), (std::vector<int>{0x08}));
  EXPECT_EQ(written.stored("a.means").dtype, "F16");
  EXPECT_EQ(written.stored("a.means").shape, (std::vector<int64_t>{2, 1, 4}));
  EXPECT_EQ(bytes_of(written, "a.means"),
            (std::vector<int>{0x00, 0x00, 0x00, 0x38, 0x00, 0x3C, 0x00, 0x34,  //
                              0x00, 0x30, 0x00, 0xB8, 0x00, 0xBC, 0x00, 0x00}));
  EXPECT_EQ(bytes_of(written, "a.scales"),
            (std::vector<int>{0x00, 0x3C, 0x00, 0x40, 0x00, 0x44, 0x00, 0x38,  //
                              0x00, 0x38, 0x00, 0x3E, 0x00, 0x40, 0x00, 0x34}));
  EXPECT_EQ(bytes_of(written, "a.dead_columns"), (std::vector<int>{4, 0, 0, 0}));
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":2,"group_index":false,"group_size":5,"kind":"binary",)"
            R"("shape":[2,5],"symmetric":false}},"version":1})");
}

TEST(NativeBinary, CodesMeanTheDocumentedWeights) {
  EXPECT_TRUE(dequantize(worked_example()).equal(worked_weights()));
  EXPECT_TRUE(dequantize_rows(worked_example(), 1, 1).equal(worked_weights().narrow(0, 1, 1)));
  TemporaryFolder folder;
  write_linear(folder / "m", worked_example());
  EXPECT_TRUE(open_model(folder / "m")->load("a.weight").equal(worked_weights()));
}

QuantizedLinear random_binary(int64_t out, int64_t in, int64_t group_size, bool halves) {
  Random random(5);
  QuantizedLinear linear;
  linear.bits = 2;
  linear.group_size = group_size;
  linear.codes = testing::random_codes(random, out, in, 0, 3);
  const int64_t groups = group_count(in, group_size);
  const auto draw = [&] {
    return testing::random_scales(random, out, groups * 4, halves ? 11 : 0)
        .reshape({out, groups, 4});
  };
  linear.binary = {.salient = testing::random_codes(random, 1, in, 0, 1).squeeze(0),
                   .means = draw() - 0.0078125,
                   .scales = draw()};
  if (halves) linear.binary->means = linear.binary->means.to(at::kHalf).to(at::kFloat);
  return linear;
}

TEST(NativeBinary, WhatIsWrittenIsReadBackBitForBit) {
  for (const bool halves : {true, false}) {
    for (const auto& [out, in, group] : {std::tuple{1, 1, 1}, {3, 13, 4}, {20, 300, 128}}) {
      TemporaryFolder folder;
      const QuantizedLinear linear = random_binary(out, in, group, halves);
      write_linear(folder / "m", linear);
      const auto model = open_model(folder / "m");
      const QuantizedLinear read = model->read_linear("a");
      EXPECT_TRUE(read.codes.equal(linear.codes));
      EXPECT_TRUE(read.binary->salient.equal(linear.binary->salient));
      EXPECT_TRUE(read.binary->means.equal(linear.binary->means));
      EXPECT_TRUE(read.binary->scales.equal(linear.binary->scales));
      EXPECT_EQ(model->source().stored_info("a.scales").dtype, halves ? "F16" : "F32");
    }
  }
}

// methods.md 10: 2 + 1/m + 128 ceil(n/block)/n honest bits, 1 + salient share quoted.
TEST(NativeBinary, BytesAreTheHonestCount) {
  TemporaryFolder folder;
  const QuantizedLinear linear = random_binary(24, 576, 128, true);
  write_linear(folder / "m", linear);
  const double bits =
      8.0 * static_cast<double>(open_model(folder / "m")->linear_bytes("a")) / (24 * 576);
  EXPECT_DOUBLE_EQ(bits, 2 + 1 / 24.0 + 128 * 5 / 576.0);
  const double salient = linear.binary->salient.sum().item<double>() / 576;
  EXPECT_DOUBLE_EQ(bits_per_weight(linear), 1 + salient);
}

TEST(NativeBinary, OtherFormatsRefuseItBeforeAnyWork) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(binary_plan(worked_example()));
  for (const std::string name : {"compressed-tensors", "gptq", "gptq_v2"})
    EXPECT_NE(find_format(name).refusal(plan).find("a binary grid"), std::string::npos) << name;
  EXPECT_EQ(default_format(plan).name, "native");
  EXPECT_EQ(find_format("dense").refusal(plan), "");
}

TEST(NativeBinary, LinearsThatAreNoBinaryGridAreNotWritten) {
  const auto refused = [](const std::function<void(QuantizedLinear&)>& spoil) {
    QuantizedLinear linear = worked_example();
    spoil(linear);
    return testing::message_of([&] { check_linear(linear); });
  };
  EXPECT_NE(refused([](auto& l) { l.bits = 3; }), "");
  EXPECT_NE(refused([](auto& l) { l.codes = l.codes + 1; }), "");
  EXPECT_NE(refused([](auto& l) { l.symmetric = true; }), "");
  EXPECT_NE(refused([](auto& l) { l.binary->salient = l.binary->salient * 2; }), "");
  EXPECT_NE(refused([](auto& l) { l.binary->means = l.binary->means.narrow(2, 0, 3); }), "");
  EXPECT_NE(refused([](auto& l) { l.binary->scales = -l.binary->scales; }), "");
  EXPECT_NE(refused([](auto& l) { l.binary->means = l.binary->means / 0; }), "");
}

struct BinaryFolder {
  nlohmann::json config, description;
  Tensors tensors;
};

std::string error_with(const std::function<void(BinaryFolder&)>& spoil) {
  TemporaryFolder folder;
  write_linear(folder / "m", random_binary(6, 40, 16, true));
  const Checkpoint checkpoint(folder / "m");
  BinaryFolder binary{
      checkpoint.config(),
      nlohmann::json::parse(checkpoint.metadata().at("halftone.native")).at("linears").at("a"),
      {}};
  for (const std::string& name : checkpoint.names())
    binary.tensors[name] = checkpoint.load(name).clone();
  spoil(binary);
  const nlohmann::json description = {{"version", 1}, {"linears", {{"a", binary.description}}}};
  write_folder(folder / "spoilt", binary.config, binary.tensors,
               {{"halftone.native", description.dump()}});
  return reading_error(folder / "spoilt");
}

TEST(NativeBinaryHostile, EveryImpossibleDescriptionIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {0, 1, 3, 8, nullptr}},
      {"kind", {"uniform", "bilevel", "Binary", nullptr}},
      {"shape", {{6}, {6, 41}, {7, 40}, {INT64_MAX, INT64_MAX}, nullptr}},
      {"group_size", {0, 8, 41, int64_t{1} << 50}},
      {"symmetric", {true, 1}},
      {"group_index", {true, 0}},
      {"outliers", {true}},
      {"run_size", {16}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with([&](BinaryFolder& binary) { binary.description[key] = value; }), "");
    }
}

TEST(NativeBinaryHostile, EveryTensorMustBeThereInItsTypeAndShape) {
  for (const std::string part : {".codes", ".salient", ".means", ".scales"}) {
    SCOPED_TRACE(part);
    EXPECT_NE(error_with([&](BinaryFolder& b) { b.tensors.erase("a" + part); }), "");
    EXPECT_NE(error_with([&](BinaryFolder& b) {
                at::Tensor& tensor = b.tensors["a" + part];
                tensor = tensor.narrow(0, 0, tensor.size(0) - 1).clone();
              }),
              "");
    EXPECT_NE(error_with([&](BinaryFolder& b) {
                at::Tensor& tensor = b.tensors["a" + part];
                tensor = tensor.to(at::kBFloat16);
              }),
              "");
  }
  EXPECT_NE(error_with([](BinaryFolder& b) { b.tensors["a.zeros"] = at::zeros({1}, at::kByte); }),
            "");
}

TEST(NativeBinaryHostile, NumbersThatAreNoLevelsAreErrors) {
  for (const std::string part : {".means", ".scales"})
    for (const double value : {NAN, INFINITY, -INFINITY})
      EXPECT_NE(error_with([&](BinaryFolder& b) { b.tensors["a" + part][3][1][2] = value; }), "");
  EXPECT_NE(
      error_with([](BinaryFolder& b) { b.tensors["a.scales"][0][0][0] = -1; }).find("below 0"),
      std::string::npos);
  for (const std::vector<int32_t>& dead : {std::vector<int32_t>{40}, {-1}, {3, 3}, {5, 2}, {}})
    EXPECT_NE(error_with([&](BinaryFolder& b) {
                b.tensors["a.dead_columns"] = at::tensor(dead, at::kInt);
              }),
              "");
}

}  // namespace
}  // namespace halftone
