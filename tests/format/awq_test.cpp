// AWQ's layout against words worked by hand, and folders that lie.
#include <gtest/gtest.h>

#include "format/support.h"

namespace halftone {
namespace {

using testing::LinearCase;
using testing::make_linear;
using testing::plan_for;
using testing::reading_error;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_cases;
using testing::write_folder;
using Tensors = std::map<std::string, at::Tensor>;

// Columns 0, 2, 4, 6 of eight lie in the low half of a word, 1, 3, 5, 7 in the high one.
TEST(Awq, AWordHoldsEvenColumnsBelowOddOnes) {
  const SourceModel source;
  TemporaryFolder folder;
  QuantizedLinear linear = make_linear({.out = 8, .in = 32, .symmetric = false});
  linear.codes = at::arange(8, at::kByte).reshape({8, 1}).expand({8, 32}).contiguous();
  linear.zeros = (15 - at::arange(8, at::kByte)).reshape({8, 1}).contiguous();
  const OutputPlan plan =
      plan_for(source, {{"a", {.out = 8, .in = 32, .symmetric = false}}}, at::kBFloat16);
  const auto writer = find_format("awq").open_writer(folder.path(), plan);
  writer->add_linear(finish_linear("a", linear));
  writer->finish(nlohmann::json::object());
  const Checkpoint files(folder.path());
  const at::Tensor codes = files.load("a.qweight"), zeros = files.load("a.qzeros");
  EXPECT_EQ(codes.sizes(), (std::vector<int64_t>{32, 1}));
  EXPECT_TRUE(codes.eq(0x75316420).all().item<bool>());
  EXPECT_EQ(static_cast<uint32_t>(zeros.item<int32_t>()), 0x8ACE9BDFU);
  EXPECT_TRUE(at::equal(files.load("a.scales").to(at::kFloat), linear.scales.t()));
  EXPECT_TRUE(at::equal(open_model(folder.path())->load("a.weight"), dequantize(linear)));
}

TEST(Awq, TheConfigIsAutoAwqs) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "awq", source, {{"a", {}}});
  EXPECT_EQ(read_json(folder / "m" / "config.json").at("quantization_config"),
            (nlohmann::json{{"quant_method", "awq"},
                            {"bits", 4},
                            {"group_size", 32},
                            {"zero_point", true},
                            {"version", "gemm"},
                            {"modules_to_not_convert", {"model.router"}}}));
  write_cases(folder / "row", "awq", source, {{"a", {.group_size = 0}}});
  EXPECT_EQ(read_json(folder / "row" / "config.json").at("quantization_config").at("group_size"),
            -1);
}

TEST(Awq, RefusesWhatItsFilesCannotHold) {
  const SourceModel source(at::kHalf);
  const auto refused = [&](const std::vector<testing::NamedCase>& cases) {
    return find_format("awq").refusal(plan_for(source, cases, at::kHalf));
  };
  const auto alone = [&](const LinearCase& options) { return refused({{"x.y", options}}); };
  EXPECT_NE(alone({.bits = 3}).find("x.y: 3 bits; AWQ files hold 4"), std::string::npos);
  EXPECT_NE(alone({.in = 48}).find("48 input columns"), std::string::npos);
  EXPECT_NE(alone({.in = 16}).find("16 input columns"), std::string::npos);
  EXPECT_NE(alone({.out = 12}).find("12 rows"), std::string::npos);
  EXPECT_NE(alone({.dynamic_groups = true}).find("groups of neighbours"), std::string::npos);
  EXPECT_NE(alone({.scale_bits = 0}).find("24 significant bits"), std::string::npos);
  EXPECT_EQ(alone({.symmetric = false, .scale_bits = 11}), "");
  EXPECT_NE(refused({{"x.y", {}}, {"x.z", {.group_size = 64}}}).find("one size for all"),
            std::string::npos);
  EXPECT_NE(refused({{"lm_head", {}}}).find("linears of blocks alone"), std::string::npos);
}

std::string error_with(const std::function<void(nlohmann::json&, Tensors&)>& spoil) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "good", "awq", source, {{"a", {}}});
  const Checkpoint good(folder / "good");
  nlohmann::json config = good.config();
  Tensors tensors;
  for (const std::string& name : good.names()) tensors[name] = good.load(name).clone();
  spoil(config["quantization_config"], tensors);
  write_folder(folder / "m", config, tensors);
  return reading_error(folder / "m");
}

TEST(AwqHostile, EveryImpossibleSettingIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {-4, 0, 3, 8, 4.5, "4", nullptr}},
      {"group_size", {0, -2, 33, 128, int64_t{1} << 40, "32", nullptr}},
      {"zero_point", {false, 1, "yes"}},
      {"version", {"gemv", "gemv_fast", 1}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      EXPECT_NE(error_with([&](auto& config, Tensors&) { config[key] = value; }), "");
    }
}

TEST(AwqHostile, EveryTensorThatLiesIsAnErrorThatNamesTheLinear) {
  const std::map<std::string, std::vector<at::Tensor>> values = {
      {"a.qweight",
       {at::zeros({64, 4}, at::kLong), at::zeros({63, 4}, at::kInt), at::zeros({64, 5}, at::kInt),
        at::zeros({64}, at::kInt), at::zeros({0, 4}, at::kInt)}},
      {"a.qzeros", {at::zeros({2, 3}, at::kInt), at::zeros({3, 4}, at::kInt)}},
      {"a.scales",
       {at::zeros({2, 31}, at::kHalf), at::zeros({2, 32}, at::kInt),
        at::full({2, 32}, INFINITY, at::kHalf)}}};
  for (const auto& [name, hostile] : values)
    for (const at::Tensor& value : hostile) {
      SCOPED_TRACE(
          fmt::format("{} of {} dimensions, {} numbers", name, value.dim(), value.numel()));
      const std::string message =
          error_with([&](auto&, Tensors& tensors) { tensors[name] = value; });
      EXPECT_NE(message.find("m: a: "), std::string::npos) << message;
    }
  for (const std::string part : {".qweight", ".qzeros", ".scales"})
    EXPECT_NE(error_with([&](auto&, Tensors& tensors) { tensors.erase("a" + part); }).find(part),
              std::string::npos);
}

}  // namespace
}  // namespace halftone
