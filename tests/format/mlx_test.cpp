// MLX's affine quantization against numbers worked by hand, and folders that lie.
#include <gtest/gtest.h>

#include "format/support.h"

namespace halftone {
namespace {

using testing::LinearCase;
using testing::make_linear;
using testing::message_of;
using testing::NamedCase;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_cases;
using testing::write_folder;
using Tensors = std::map<std::string, at::Tensor>;

const std::vector<NamedCase> kCases = {{"a", {}},
                                       {"b", {.bits = 3, .group_size = 64, .symmetric = false}},
                                       {"c", {.in = 128, .bits = 8, .group_size = 128}}};

class MlxTypes : public ::testing::TestWithParam<at::ScalarType> {};

// One number at a time, in double precision, rounded as the library does: the product to the type
// of the scales, then the sum.
TEST_P(MlxTypes, WeightsAreRoundedProductsAndSums) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "mlx", source, kCases, GetParam());
  const auto model = open_model(folder / "m");
  EXPECT_EQ(model->format(), "mlx");
  EXPECT_TRUE(model->linears().empty());
  const auto rounded = [](double number) {
    return at::scalar_tensor(number, at::kDouble).to(GetParam()).item<double>();
  };
  for (size_t i = 0; i < kCases.size(); ++i) {
    const QuantizedLinear linear = make_linear(kCases[i].options, i + 1);
    const at::Tensor weights = model->load(kCases[i].name + ".weight");
    for (int64_t row = 0; row < linear.out(); row += 5)
      for (int64_t column = 0; column < linear.in(); column += 3) {
        const int64_t group = column / linear.group_size;
        const double scale = linear.scales[row][group].item<double>();
        const double bias = rounded(-scale * linear.zeros[row][group].item<double>());
        const double product = rounded(scale * linear.codes[row][column].item<double>());
        EXPECT_EQ(weights[row][column].item<double>(), rounded(product + bias));
      }
  }
}

// Where the products have no more digits than the type, nothing is rounded at all.
TEST_P(MlxTypes, ScalesOfFewDigitsGiveTheGridItself) {
  const SourceModel source;
  TemporaryFolder folder;
  const NamedCase one = {"a", {.symmetric = false, .scale_bits = 4}};
  write_cases(folder / "m", "mlx", source, {one}, GetParam());
  EXPECT_TRUE(
      at::equal(open_model(folder / "m")->load("a.weight"), dequantize(make_linear(one.options))));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, MlxTypes, ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf));

TEST(Mlx, CodesAreAStreamAlongTheRowAndBiasesZerosTimesScales) {
  const SourceModel source;
  TemporaryFolder folder;
  QuantizedLinear linear = make_linear({.out = 1, .in = 32});
  linear.codes = at::arange(32, at::kByte).remainder(16).reshape({1, 32});
  linear.scales = at::full({1, 1}, 0.25, at::kFloat);
  const OutputPlan plan = plan_for(source, {{"a", {.out = 1, .in = 32}}});
  const auto writer = find_format("mlx").open_writer(folder.path(), plan);
  writer->add_linear(finish_linear("a", linear));
  writer->finish(nlohmann::json::object());
  const Checkpoint files(folder.path());
  EXPECT_EQ(files.stored("a.weight").dtype, "U32");
  EXPECT_EQ(files.metadata().at("format"), "mlx");
  const at::Tensor words = files.load("a.weight").view(at::kInt);
  EXPECT_EQ(words.sizes(), (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(static_cast<uint32_t>(words[0][0].item<int32_t>()), 0x76543210U);
  EXPECT_EQ(static_cast<uint32_t>(words[0][1].item<int32_t>()), 0xFEDCBA98U);
  EXPECT_EQ(files.load("a.scales").item<double>(), 0.25);
  EXPECT_EQ(files.load("a.biases").item<double>(), -2);
  EXPECT_EQ(files.stored("a.biases").dtype, "BF16");
}

TEST(Mlx, TheConfigNamesWhatDepartsFromTheFirst) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "mlx", source, {{"a", {}}, {"b", {.bits = 3}}, {"c", {}}});
  const nlohmann::json config = read_json(folder / "m" / "config.json");
  EXPECT_EQ(config.at("quantization"), (nlohmann::json{{"group_size", 32},
                                                       {"bits", 4},
                                                       {"mode", "affine"},
                                                       {"b", {{"group_size", 32}, {"bits", 3}}}}));
  EXPECT_EQ(config.at("quantization"), config.at("quantization_config"));
}

TEST(Mlx, RowsOfAMatrixAreThoseOfTheWhole) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "mlx", source, kCases);
  const auto model = open_model(folder / "m");
  const at::Tensor index = at::tensor({31, 0, 5, 5}, at::kLong);
  for (const NamedCase& one : kCases)
    EXPECT_TRUE(at::equal(model->load_rows(one.name + ".weight", index),
                          model->load(one.name + ".weight").index_select(0, index)));
}

TEST(Mlx, StoredBytesAndCoarseWeightsAreCounted) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "mlx", source, kCases);
  const auto model = open_model(folder / "m");
  EXPECT_EQ(model->linear_bytes("a"), 32U * 64 / 2 + 2U * 2 * 32 * 2);
  EXPECT_EQ(model->coarse_weights(), "1 in 3 bits, 1 in 4 bits");
  EXPECT_FALSE(model->contains("a.scales"));
  EXPECT_EQ(model->info("c.weight").shape, (std::vector<int64_t>{32, 128}));
}

TEST(Mlx, RefusesWhatItsFilesCannotHold) {
  const SourceModel source;
  const auto refused = [&](const LinearCase& options, const std::string& name = "x.y") {
    return find_format("mlx").refusal(plan_for(source, {{name, options}}));
  };
  EXPECT_NE(refused({.bits = 7}).find("x.y: 7 bits"), std::string::npos);
  EXPECT_NE(refused({.group_size = 16}).find("groups of 16 columns"), std::string::npos);
  EXPECT_NE(refused({.group_size = 0}).find("groups of 0 columns"), std::string::npos);
  EXPECT_NE(refused({.in = 48}).find("48 input columns"), std::string::npos);
  EXPECT_NE(refused({.dynamic_groups = true}).find("groups of neighbours"), std::string::npos);
  EXPECT_NE(refused({.scale_bits = 11}).find("11 significant bits"), std::string::npos);
  EXPECT_NE(refused({}, "model.layers.0.mlp.experts.3.up_proj").find("as one tensor"),
            std::string::npos);
  EXPECT_EQ(refused({.bits = 5, .symmetric = false}), "");
  OutputPlan plan = plan_for(source, {{"transformer.h.0.mlp.c_fc", {}}});
  plan.config = {{"architectures", {"GPT2LMHeadModel"}}};
  EXPECT_NE(find_format("mlx").refusal(plan).find("(in, out)"), std::string::npos);
}

using Spoil = std::function<void(nlohmann::json&, Tensors&)>;

// A folder of one linear, changed; and one of its weights as it is read.
at::Tensor weight_with(const Spoil& spoil) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "good", "mlx", source, {{"a", {}}});
  const Checkpoint good(folder / "good");
  nlohmann::json config = good.config();
  config.erase("quantization_config");
  Tensors tensors;
  for (const std::string& name : good.names()) tensors[name] = good.load(name).clone();
  spoil(config["quantization"], tensors);
  write_folder(folder / "m", config, tensors);
  return open_model(folder / "m")->load("a.weight");
}

std::string error_with(const Spoil& spoil) {
  return message_of([&] { static_cast<void>(weight_with(spoil)); });
}

TEST(MlxHostile, AFolderThatIsNotSpoiledIsRead) {
  EXPECT_EQ(weight_with([](auto&, Tensors&) {}).sizes(), (std::vector<int64_t>{32, 64}));
}

TEST(MlxHostile, EveryImpossibleSettingIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {-4, 0, 1, 7, 3, 4.5, "4", int64_t{1} << 40}},
      {"group_size", {0, -2, 16, 48, 64, 1024, "32"}},
      {"mode", {"mxfp4", "nvfp4", 1}},
      {"a", {{{"bits", 4}}, {{"bits", 7}, {"group_size", 32}}, {{"bits", 3}, {"group_size", 32}}}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with([&](auto& config, Tensors&) { config[key] = value; }), "");
    }
}

TEST(MlxHostile, EveryTensorThatLiesIsAnErrorThatNamesTheLinear) {
  const std::map<std::string, std::vector<at::Tensor>> values = {
      {"a.weight",
       {at::zeros({32, 8}, at::kInt), at::zeros({32, 7}, at::kInt).view(at::kUInt32),
        at::zeros({31, 8}, at::kInt).view(at::kUInt32),
        at::zeros({32}, at::kInt).view(at::kUInt32)}},
      {"a.scales",
       {at::zeros({32, 3}, at::kBFloat16), at::zeros({32, 2}, at::kInt),
        at::zeros({64}, at::kBFloat16), at::zeros({32, 2}, at::kHalf),
        at::full({32, 2}, NAN, at::kBFloat16)}},
      {"a.biases",
       {at::zeros({32, 1}, at::kBFloat16), at::full({32, 2}, INFINITY, at::kBFloat16)}}};
  for (const auto& [name, hostile] : values)
    for (const at::Tensor& value : hostile) {
      SCOPED_TRACE(
          fmt::format("{} of {} dimensions, {} numbers", name, value.dim(), value.numel()));
      const std::string message =
          error_with([&](auto&, Tensors& tensors) { tensors[name] = value; });
      EXPECT_NE(message.find("m: a: "), std::string::npos) << message;
    }
  for (const std::string part : {".weight", ".biases"})
    EXPECT_NE(error_with([&](auto&, Tensors& tensors) { tensors.erase("a" + part); }).find(part),
              std::string::npos);
  EXPECT_NE(error_with([&](auto&, Tensors& tensors) { tensors.erase("a.scales"); }), "");
  EXPECT_NE(error_with([](auto&, Tensors& tensors) {
              tensors["z.weight"] = at::zeros({4, 4}, at::kInt).view(at::kUInt32);
            }).find("z.weight: codes without '.scales'"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
