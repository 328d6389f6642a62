#include <gtest/gtest.h>

#include <functional>

#include "format/gptq_config.h"
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

nlohmann::json written_config(const std::string& format, const std::vector<NamedCase>& cases) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", format, source, cases);
  const auto beside = read_json(folder / "m" / "quantize_config.json");
  EXPECT_EQ(beside, read_json(folder / "m" / "config.json").at("quantization_config"));
  return beside;
}

TEST(Gptq, ConfigIsWhatTheEnginesRead) {
  auto config = written_config("gptq", {{"a", {}}});
  EXPECT_EQ(config.at("meta").at("quantizer"),
            nlohmann::json::array({"halftone:" HALFTONE_VERSION}));
  config.at("meta").erase("quantizer");
  EXPECT_EQ(config, nlohmann::json::parse(R"({
    "bits": 4, "group_size": 32, "desc_act": false, "sym": true, "lm_head": false,
    "quant_method": "gptq", "checkpoint_format": "gptq", "format": "gptq", "pack_dtype": "int32",
    "meta": {"static_groups": true},
    "dynamic": {"-:^model\\.router$": {}}})"));
}

TEST(Gptq, MetaSaysHowTheLinearsWereMadeWhereThatIsKnown) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {{"a", {}}});
  plan.made = {.producer = "tool:1", .damping = 0.25, .static_groups = false};
  EXPECT_EQ(make_gptq_config(plan, {}, true).at("meta"),
            nlohmann::json::parse(
                R"({"quantizer": ["tool:1"], "damp_percent": 0.25, "static_groups": false})"));
}

TEST(Gptq, WholeRowsAreGroupSizeMinusOneAndDynamicGroupsDescAct) {
  const auto config = written_config(
      "gptq_v2", {{"a", {.group_size = 0, .symmetric = false, .dynamic_groups = true}}});
  EXPECT_EQ(config.at("group_size"), -1);
  EXPECT_EQ(config.at("desc_act"), true);
  EXPECT_EQ(config.at("sym"), false);
  EXPECT_EQ(config.at("format"), "gptq_v2");
}

TEST(Gptq, LinearsOfAnotherGridAreNamedUnderDynamic) {
  const auto config =
      written_config("gptq_v2", {{"x.a", {}}, {"x.b", {.bits = 3, .group_size = 16}}, {"x.c", {}}});
  EXPECT_EQ(config.at("bits"), 4);
  EXPECT_EQ(config.at("dynamic"),
            nlohmann::json::parse(R"({"+:^x\\.b$": {"bits": 3, "group_size": 16, "sym": true},
                                      "-:^model\\.router$": {}})"));
}

TEST(Gptq, AQuantizedHeadIsSaid) {
  EXPECT_EQ(written_config("gptq", {{"a", {}}}).at("lm_head"), false);
  EXPECT_EQ(written_config("gptq", {{"a", {}}, {"lm_head", {}}}).at("lm_head"), true);
}

TEST(Gptq, SymmetricV1ZerosAreTheKnownWords) {
  const SourceModel source;
  for (const auto& [bits, word] :
       std::map<int, uint32_t>{{2, 0x55555555}, {4, 0x77777777}, {8, 0x7F7F7F7F}}) {
    TemporaryFolder folder;
    write_cases(folder / "m", "gptq", source, {{"a", {.bits = bits}}});
    const at::Tensor zeros = Checkpoint(folder / "m").load("a.qzeros");
    EXPECT_TRUE(zeros.eq(static_cast<int32_t>(word)).all().item<bool>()) << bits;
  }
}

TEST(Gptq, V1HoldsZeroMinusOneAndV2TheZero) {
  const SourceModel source;
  TemporaryFolder folder;
  const NamedCase one = {"a", {.symmetric = false, .zero_min = 1}};
  write_cases(folder / "1", "gptq", source, {one});
  write_cases(folder / "2", "gptq_v2", source, {one});
  const at::Tensor v1 = Checkpoint(folder / "1").load("a.qzeros"),
                   v2 = Checkpoint(folder / "2").load("a.qzeros");
  EXPECT_TRUE(at::equal(v1 + 0x11111111, v2));  // no lane borrows: every zero is at least 1
}

std::string refused(const std::string& format, const LinearCase& options,
                    at::ScalarType dtype = at::kHalf) {
  const SourceModel source(dtype);
  const std::string why = find_format(format).refusal(plan_for(source, {{"x.y", options}}, dtype));
  EXPECT_TRUE(why.empty() || why.starts_with("x.y: ")) << why;
  return why;
}

TEST(Gptq, RefusesWhatItsFilesCannotHold) {
  EXPECT_NE(refused("gptq", {.bits = 3}).find("gptq_v2"), std::string::npos);
  EXPECT_NE(refused("gptq", {.symmetric = false}).find("zero_min"), std::string::npos);
  EXPECT_NE(refused("gptq", {.bits = 5}).find("2, 3, 4 or 8"), std::string::npos);
  EXPECT_NE(refused("gptq", {.in = 72}).find("72 input columns"), std::string::npos);
  EXPECT_NE(refused("gptq", {.out = 12}).find("12 rows"), std::string::npos);
  EXPECT_NE(refused("gptq", {.scale_bits = 0}).find("24 significant bits"), std::string::npos);
  EXPECT_EQ(refused("gptq", {.out = 8, .symmetric = false, .zero_min = 1, .scale_bits = 11}), "");
  EXPECT_EQ(refused("gptq_v2", {.bits = 3, .symmetric = false}), "");
}

TEST(Gptq, AsymmetricV1ComesWithACautionAndNothingElseDoes) {
  const SourceModel source;
  const auto caution = [&](const std::string& format, const LinearCase& options) {
    const Format& chosen = find_format(format);
    return chosen.caution ? chosen.caution(plan_for(source, {{"a", options}})) : "";
  };
  const std::string message = caution("gptq", {.symmetric = false, .zero_min = 1});
  EXPECT_NE(message.find("gptq_v2"), std::string::npos) << message;
  EXPECT_EQ(caution("gptq", {}), "");
  EXPECT_EQ(caution("gptq_v2", {.symmetric = false}), "");
}

TEST(Gptq, AZeroOfZeroIsNotWrittenIntoV1) {
  const SourceModel source;
  TemporaryFolder folder;
  const OutputPlan plan = plan_for(source, {{"a", {.symmetric = false, .zero_min = 1}}});
  const auto writer = find_format("gptq").open_writer(folder.path(), plan);
  const QuantizedLinear linear = make_linear({.symmetric = false});
  const std::string message =
      testing::message_of([&] { writer->add_linear(finish_linear("a", linear)); });
  EXPECT_NE(message.find("a: zeros: one is 0"), std::string::npos) << message;
}

// A v2 file of one linear, (32, 64), 4 bits, groups of 32.
Tensors good_tensors() {
  static Tensors tensors;
  if (!tensors.empty()) return tensors;
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "gptq_v2", source, {{"a", {}}});
  const Checkpoint checkpoint(folder / "m");
  for (const std::string& name : checkpoint.names()) tensors[name] = checkpoint.load(name).clone();
  return tensors;
}

nlohmann::json good_config() {
  return {{"quantization_config",
           {{"quant_method", "gptq"},
            {"bits", 4},
            {"group_size", 32},
            {"sym", true},
            {"desc_act", false},
            {"checkpoint_format", "gptq_v2"}}}};
}

std::string error_with(const std::function<void(nlohmann::json&, Tensors&)>& spoil) {
  TemporaryFolder folder;
  nlohmann::json config = good_config();
  Tensors tensors = good_tensors();
  spoil(config["quantization_config"], tensors);
  write_folder(folder / "m", config, tensors);
  return reading_error(folder / "m");
}

TEST(GptqHostile, EveryImpossibleSettingIsAnError) {
  const std::map<std::string, std::vector<nlohmann::json>> values = {
      {"bits", {-4, 0, 1, 5, 7, 9, 1e9, 4.5, "4", nullptr, 18446744073709551615u}},
      {"group_size", {0, -2, -32, 33554432, int64_t{1} << 40, "32", nullptr, 48}},
      {"sym", {"yes", 1}},
      {"desc_act", {0}},
      {"checkpoint_format", {"marlin", "gptq_p", 2, "gptq"}},
      {"format", {"gptq"}},
      {"pack_dtype", {"int16", "int64"}},
      {"adapter", {{{"rank", 8}}}},
      {"dynamic", {1, {{"a", 3}}, {{"a", {{"bits", 77}}}}, {{"a", {{"group_size", 0}}}}}},
      {"quant_method", {"awq", 7}}};
  for (const auto& [key, hostile] : values)
    for (const nlohmann::json& value : hostile) {
      SCOPED_TRACE(key + " = " + value.dump());
      // v1 with these zeros of 8 reads 9, which is no symmetric file
      EXPECT_NE(error_with([&](auto& config, Tensors&) { config[key] = value; }), "");
    }
}

TEST(GptqHostile, EveryTensorThatLiesIsAnErrorThatNamesTheLinear) {
  const std::map<std::string, std::vector<at::Tensor>> values = {
      {"a.qweight",
       {at::zeros({8, 32}, at::kLong), at::zeros({7, 32}, at::kInt), at::zeros({8, 31}, at::kInt),
        at::zeros({8}, at::kInt), at::zeros({0, 32}, at::kInt), at::zeros({8, 0}, at::kInt)}},
      {"a.qzeros",
       {at::zeros({2, 3}, at::kInt), at::zeros({3, 4}, at::kInt), at::zeros({2, 4}, at::kShort),
        at::zeros({2, 4}, at::kInt)}},
      {"a.scales",
       {at::zeros({2, 31}, at::kHalf), at::zeros({3, 32}, at::kHalf), at::zeros({2, 32}, at::kInt),
        at::full({2, 32}, INFINITY, at::kHalf)}},
      {"a.g_idx",
       {at::zeros({63}, at::kInt), at::zeros({64}, at::kLong), at::full({64}, 2, at::kInt),
        at::full({64}, -1, at::kInt)}}};
  for (const auto& [name, hostile] : values)
    for (const at::Tensor& value : hostile) {
      SCOPED_TRACE(
          fmt::format("{} of {} dimensions, {} numbers", name, value.dim(), value.numel()));
      const std::string message =
          error_with([&](auto&, Tensors& tensors) { tensors[name] = value; });
      EXPECT_NE(message.find("m: a: "), std::string::npos) << message;
    }
}

TEST(GptqHostile, EveryMissingTensorIsNamed) {
  for (const std::string part : {".qweight", ".qzeros", ".scales"}) {
    const std::string message =
        error_with([&](auto&, Tensors& tensors) { tensors.erase("a" + part); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  const std::string message = error_with([](auto& config, Tensors& tensors) {
    config["desc_act"] = true;
    tensors.erase("a.g_idx");
  });
  EXPECT_NE(message.find("desc_act"), std::string::npos) << message;
}

TEST(GptqHostile, APlainWeightBesideAPackedOneIsAnError) {
  EXPECT_NE(error_with([](auto&, Tensors& tensors) {
              tensors["a.weight"] = at::zeros({32, 64});
            }).find("both packed and plain"),
            std::string::npos);
}

// Rewrites the zeros of a readable v1 file.
std::string error_of_v1(int bits, bool symmetric, const std::function<void(at::Tensor&)>& spoil) {
  const SourceModel source;
  TemporaryFolder folder;
  write_cases(folder / "m", "gptq_v2", source, {{"a", {.bits = bits}}});
  Tensors tensors;
  const Checkpoint checkpoint(folder / "m");
  for (const std::string& name : checkpoint.names()) tensors[name] = checkpoint.load(name).clone();
  spoil(tensors["a.qzeros"]);
  nlohmann::json config = good_config();
  config["quantization_config"].update(
      {{"bits", bits}, {"sym", symmetric}, {"checkpoint_format", "gptq"}});
  write_folder(folder / "v1", config, tensors);
  return reading_error(folder / "v1");
}

TEST(GptqV1, AsymmetricLanesOfAllOnesAreRefusedBecauseReadersDiffer) {
  const std::string message =
      error_of_v1(4, false, [](at::Tensor& zeros) { zeros.fill_(0x77777F77); });
  EXPECT_NE(message.find("readers differ"), std::string::npos) << message;
}

TEST(GptqV1, ThreeBitZerosOtherThanTheTwoSymmetricPatternsAreRefused) {
  for (const bool symmetric : {true, false})
    EXPECT_NE(error_of_v1(3, symmetric, [](at::Tensor& zeros) { zeros.fill_(0x12345678); })
                  .find("gptq_v2 file is needed"),
              std::string::npos);
}

TEST(GptqV1, ThreeBitSymmetricZerosPackedRightAreRead) {
  const SourceModel source;
  TemporaryFolder folder;
  const NamedCase one = {"a", {.bits = 3}};
  write_cases(folder / "m", "gptq_v2", source, {one});
  Tensors tensors;
  const Checkpoint checkpoint(folder / "m");
  for (const std::string& name : checkpoint.names()) tensors[name] = checkpoint.load(name).clone();
  tensors["a.qzeros"] =
      at::tensor({int32_t(0xDB6DB6DB), int32_t(0xB6DB6DB6), int32_t(0x6DB6DB6D)}, at::kInt)
          .repeat({2, 1});
  nlohmann::json config = good_config();
  config["quantization_config"].update({{"bits", 3}, {"checkpoint_format", "gptq"}});
  write_folder(folder / "v1", config, tensors);
  const auto model = open_model(folder / "v1");
  EXPECT_TRUE(at::equal(model->load("a.weight"), dequantize(make_linear(one.options))));
  EXPECT_TRUE(model->notes().empty());
}

TEST(Gptq, QuantizeConfigBesideAPlainConfigIsEnough) {
  TemporaryFolder folder;
  write_folder(folder / "m", {{"model_type", "llama"}}, good_tensors());
  const nlohmann::json config = {{"bits", 4},
                                 {"group_size", 32},
                                 {"desc_act", false},
                                 {"sym", true},
                                 {"checkpoint_format", "gptq_v2"}};
  write_file_atomically(folder / "m" / "quantize_config.json", config.dump());
  EXPECT_TRUE(at::equal(open_model(folder / "m")->load("a.weight"), dequantize(make_linear({}))));
}

TEST(Gptq, AbsentGroupIndexMeansStaticGroups) {
  TemporaryFolder folder;
  Tensors tensors = good_tensors();
  tensors.erase("a.g_idx");
  write_folder(folder / "m", good_config(), tensors);
  EXPECT_TRUE(at::equal(open_model(folder / "m")->load("a.weight"), dequantize(make_linear({}))));
}

}  // namespace
}  // namespace halftone
