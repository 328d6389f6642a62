#include <gtest/gtest.h>

#include "format/support.h"

namespace halftone {
namespace {

using testing::folder_formats;
using testing::LinearCase;
using testing::make_linear;
using testing::NamedCase;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_cases;

// Every combination of one width and order; a format takes those it does not refuse.
std::vector<NamedCase> all_cases(int bits, bool dynamic) {
  std::vector<NamedCase> cases;
  for (const int64_t group_size : {0, 16, 32, 48, 128})
    for (const bool symmetric : {true, false})
      for (const int64_t in : {96, 70})
        cases.push_back({fmt::format("linear.{}", cases.size()),
                         {.out = in == 70 ? 6 : 32,
                          .in = in,
                          .bits = bits,
                          .group_size = group_size,
                          .symmetric = symmetric,
                          .dynamic_groups = dynamic,
                          .zero_min = group_size == 16 ? 1 : 0}});
  return cases;
}

std::string describe(const LinearCase& options) {
  return fmt::format("{} bits, g{}, {}, {}, ({}, {})", options.bits, options.group_size,
                     options.symmetric ? "sym" : "asym",
                     options.dynamic_groups ? "dynamic" : "static", options.out, options.in);
}

bool group_index_is_trivial(const QuantizedLinear& linear) {
  return at::equal(column_groups(linear),
                   at::arange(linear.in(), at::kInt).floor_divide(linear.group_size));
}

class RoundTrip : public ::testing::TestWithParam<std::string> {};

void expect_same_numbers(const QuantizedLinear& actual, const QuantizedLinear& expected) {
  EXPECT_TRUE(at::equal(actual.codes, expected.codes));
  EXPECT_TRUE(at::equal(actual.scales, expected.scales));
  EXPECT_TRUE(at::equal(actual.zeros, expected.zeros));
  EXPECT_TRUE(at::equal(column_groups(actual), column_groups(expected)));
  EXPECT_EQ(actual.group_of_column.defined(), !group_index_is_trivial(expected));
  EXPECT_EQ(actual.bits, expected.bits);
  EXPECT_EQ(actual.group_size, expected.group_size);
  EXPECT_EQ(actual.symmetric, expected.symmetric);
}

void expect_model_round_trip(const std::string& format, const SourceModel& source,
                             const std::vector<NamedCase>& cases) {
  TemporaryFolder folder;
  write_cases(folder / "m", format, source, cases);
  const auto model = open_model(folder / "m");
  EXPECT_EQ(model->format(), format);
  EXPECT_EQ(model->linears().size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(describe(cases[i].options));
    const QuantizedLinear expected = make_linear(cases[i].options, i + 1);
    expect_same_numbers(model->read_linear(cases[i].name), expected);
    EXPECT_TRUE(at::equal(model->load(cases[i].name + ".weight"), dequantize(expected)));
  }
}

// Writes those cases that the format holds, as few models as it needs for them; returns how many.
size_t expect_round_trip(const std::string& format, std::vector<NamedCase> cases) {
  const SourceModel source;
  const auto holds = [&](const std::vector<NamedCase>& some) {
    return find_format(format).refusal(plan_for(source, some)).empty();
  };
  std::erase_if(cases, [&](const NamedCase& one) { return !holds({one}); });
  const size_t count = cases.size();
  while (!cases.empty()) {
    std::vector<NamedCase> together, rest;
    for (const NamedCase& one : cases) {
      together.push_back(one);
      if (holds(together)) continue;
      rest.push_back(one);
      together.pop_back();
    }
    expect_model_round_trip(format, source, together);
    cases = rest;
  }
  return count;
}

TEST_P(RoundTrip, EveryGridItHoldsComesBackNumberForNumber) {
  size_t held = 0;
  for (int bits = 2; bits <= 8; ++bits)
    for (const bool dynamic : {false, true})
      held += expect_round_trip(GetParam(), all_cases(bits, dynamic));
  // of 280, counted by hand: what the files of each can hold
  const std::map<std::string, size_t> counted = {
      {"compressed-tensors", 98}, {"gptq", 36}, {"gptq_v2", 80}, {"awq", 8}, {"native", 280}};
  const auto expected = counted.find(GetParam());
  EXPECT_EQ(held, expected == counted.end() ? std::max<size_t>(held, 1) : expected->second);
}

TEST_P(RoundTrip, TwoWritesGiveTheSameBytes) {
  const SourceModel source;
  TemporaryFolder folder;
  const std::vector<NamedCase> cases = {{"a", {}}, {"b", {.in = 128}}};
  write_cases(folder / "1", GetParam(), source, cases);
  write_cases(folder / "2", GetParam(), source, cases);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "1"))
    EXPECT_EQ(read_file(entry.path()), read_file(folder / "2" / entry.path().filename()));
}

TEST_P(RoundTrip, OtherTensorsConfigAndCompanionsTravelUnchanged) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", GetParam(), source, {{"a", {}}});
  const auto model = open_model(folder / "m");
  for (const auto& [name, tensor] : source.tensors()) {
    EXPECT_TRUE(model->contains(name));
    EXPECT_TRUE(at::equal(model->load(name), tensor)) << name;
  }
  EXPECT_FALSE(model->contains("a.codes") || model->contains("a.qweight"));
  for (const auto& [key, value] : source.checkpoint().config().items())
    EXPECT_EQ(model->config().at(key), value);
  for (const char* file : {"tokenizer.json", "generation_config.json", "chat_template.jinja"})
    EXPECT_EQ(read_file(folder / "m" / file), read_file(source.checkpoint().folder() / file));
  EXPECT_FALSE(std::filesystem::exists(folder / "m" / "pytorch_model.bin"));
  EXPECT_EQ(read_json(folder / "m" / "halftone.json").at("made_by"), "test");
}

TEST_P(RoundTrip, StoredBytesOfALinearAreThoseOfItsTensors) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", GetParam(), source, {{"a", {}}});
  const auto model = open_model(folder / "m");
  size_t others = 0;
  for (const auto& [name, tensor] : source.tensors()) others += size_t(tensor.nbytes());
  EXPECT_EQ(model->linear_bytes("a") + others, model->source().stored_bytes());
}

// Every listed format that holds grids themselves.
std::vector<std::string> packed_formats() {
  std::vector<std::string> names;
  for (const Format& format : folder_formats())
    if (format.name != "dense" && format.name != "mlx") names.push_back(format.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip, ::testing::ValuesIn(packed_formats()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

class WithDtype : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(WithDtype, EveryFormatVerifiesAfterWritingInTheModelsType) {
  const SourceModel source(GetParam());
  for (const Format& format : folder_formats()) {
    SCOPED_TRACE(format.name);
    TemporaryFolder folder;
    const std::vector<NamedCase> cases = {{"a", {}}, {"b", {.in = 128, .zero_min = 1}}};
    const auto written = write_cases(folder / "m", format.name, source, cases, GetParam());
    EXPECT_EQ(written.size(), 2u);
    EXPECT_NO_THROW(verify_written(folder / "m", written));
  }
}

TEST_P(WithDtype, DenseHoldsTheWeightsRoundedOnceToTheModelsType) {
  const SourceModel source(GetParam());
  TemporaryFolder folder;
  const NamedCase one = {"a", {.symmetric = false, .scale_bits = 0}};
  write_cases(folder / "m", "dense", source, {one}, GetParam());
  const auto model = open_model(folder / "m");
  EXPECT_EQ(model->format(), "dense");
  EXPECT_TRUE(model->linears().empty());
  EXPECT_TRUE(
      at::equal(model->load("a.weight"), dequantize(make_linear(one.options)).to(GetParam())));
  EXPECT_FALSE(model->config().contains("quantization_config"));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, WithDtype,
                         ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf));

// GPT-2's plain matrices are (in, out) in its files; inside the program no matrix is.
TEST(StoredLayout, EveryFormatStoresPlainMatricesAsTheLibraryOfTheModelReadsThem) {
  const SourceModel source;
  const std::string plain = "transformer.h.0.mlp.c_proj.weight",
                    linear = "transformer.h.0.mlp.c_fc";
  const at::Tensor weight = at::arange(24, at::kFloat).view({4, 6});
  OutputPlan plan = plan_for(source, {{linear, {}}});
  plan.config = {{"architectures", {"GPT2LMHeadModel"}}};
  for (const Format& format : folder_formats()) {
    SCOPED_TRACE(format.name);
    if (!format.refusal(plan).empty()) continue;
    TemporaryFolder folder;
    const auto writer = format.open_writer(folder.path(), plan);
    writer->add_tensor(plain, weight);
    writer->add_linear(finish_linear(linear, make_linear({})));
    writer->finish(nlohmann::json::object());
    const Checkpoint files(folder.path());
    EXPECT_EQ(files.stored(plain).shape, (std::vector<int64_t>{6, 4}));
    if (format.name == "dense") {
      EXPECT_EQ(files.stored(linear + ".weight").shape, (std::vector<int64_t>{64, 32}));
    }
    const auto model = open_model(folder.path());
    EXPECT_TRUE(at::equal(model->load(plain), weight));
    EXPECT_EQ(model->info(linear + ".weight").shape, (std::vector<int64_t>{32, 64}));
    EXPECT_NO_THROW(verify_written(folder.path(), writer->fingerprints()));
  }
}

TEST(Verify, AChangedCodeIsFoundAndNamed) {
  const SourceModel source;
  TemporaryFolder folder;
  auto written = write_cases(folder / "m", "native", source, {{"a", {}}, {"b", {}}});
  QuantizedLinear other = make_linear({}, 2);
  other.codes = other.codes.clone();
  other.codes[3][5] = other.codes[3][5].item<int>() ^ 1;
  written["b"] = weight_fingerprint(other);
  const std::string message = testing::message_of([&] { verify_written(folder / "m", written); });
  EXPECT_NE(message.find(": b: "), std::string::npos) << message;
  EXPECT_NE(first_difference(make_linear({}, 2), other).find("weight (3, 5)"), std::string::npos);
  EXPECT_EQ(first_difference(other, other), "");
}

TEST(Verify, ALinearThatIsMissingOrUnknownIsNamed) {
  const SourceModel source;
  TemporaryFolder folder;
  auto written = write_cases(folder / "m", "native", source, {{"a", {}}, {"b", {}}});
  auto more = written;
  more["c"] = written["a"];
  EXPECT_NE(testing::message_of([&] { verify_written(folder / "m", more); }).find("c"),
            std::string::npos);
  written.erase("b");
  EXPECT_NE(
      testing::message_of([&] { verify_written(folder / "m", written); }).find("b: quantized"),
      std::string::npos);
}

TEST(Verify, FingerprintsAreOfWeightsNotOfTheirCoding) {
  QuantizedLinear linear = make_linear({.out = 3, .in = 40, .group_size = 16});
  QuantizedLinear shifted = linear;  // the same weights with codes and zeros moved
  shifted.bits = 5, shifted.symmetric = false;
  shifted.codes = linear.codes + 3;
  shifted.zeros = linear.zeros + 3;
  EXPECT_EQ(weight_fingerprint(linear), weight_fingerprint(shifted));
  EXPECT_EQ(weight_fingerprint(linear), weight_fingerprint(dequantize(linear)));
}

}  // namespace
}  // namespace halftone
