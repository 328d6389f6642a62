// GGUF files as outputs, of the demo model with rows of whole blocks.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "checkpoint/gguf_file.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/filled_model.h"
#include "pipeline/interrupted_run.h"
#include "pipeline/model_tokenizer.h"
#include "pipeline/opened_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::example;
using testing::filled_up;
using testing::kWidth;
using testing::message_of;
using testing::TemporaryFolder;

constexpr double kSixBits = 2e-2;    // relative, of a matrix rounded to six bits
constexpr double kEightBits = 2e-2;  // relative and absolute, of weights rounded to eight bits

class GgufOutput : public ::testing::Test {
 protected:
  QuantizeRequest request(const fs::path& out, const std::vector<std::string>& settings = {},
                          const std::string& recipe = "rtn") const {
    QuantizeRequest request = testing::request_for(out, recipe, 4);
    request.model = model_;
    request.format.clear();
    apply_setting(request.recipe, "grid.symmetric=true");
    apply_setting(request.recipe, "grid.group_size=32");
    for (const std::string& setting : settings) apply_setting(request.recipe, setting);
    return request;
  }

  const TemporaryFolder folder_;
  const fs::path model_ = filled_up(folder_ / "model");
};

struct Written {
  const char* type;
  std::vector<std::string> settings;
};

TEST_F(GgufOutput, HoldsTheWeightsThatOtherFormatsHold) {
  const std::vector<Written> cases = {
      {"Q2_0", {"grid.bits=2", "grid.group_size=64"}},
      {"Q4_0", {"grid.bits=4"}},
      {"Q2_0", {"grid.bits=2", "grid.group_size=64", "grid.signed_scale=true"}},
      {"Q4_1", {"grid.bits=4", "grid.symmetric=false"}},
      {"Q5_0", {"grid.bits=5"}},
      {"Q5_1", {"grid.bits=5", "grid.symmetric=false", "grid.scale_bits=6"}},
      {"Q8_0", {"grid.bits=8"}}};
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& [type, settings] = cases[i];
    SCOPED_TRACE(type);
    const std::string name = fmt::format("{}-{}", type, i);
    const json report = testing::run(request(folder_ / (name + ".gguf"), settings));
    EXPECT_EQ(report["verified"], true);
    EXPECT_EQ(report["format"], "gguf");
    QuantizeRequest other = request(folder_ / name, settings);
    other.format = "native";
    testing::run(other);
    const auto file = open_model(folder_ / (name + ".gguf")), native = open_model(folder_ / name);
    EXPECT_EQ(file->names(), native->names());
    for (const std::string& weight : native->names())
      EXPECT_TRUE(at::equal(file->load(weight), native->load(weight))) << weight;
    EXPECT_EQ(file->source().stored_info("model.layers.1.self_attn.q_proj.weight").dtype, type);
  }
}

TEST_F(GgufOutput, ATypeThatSomeRowsCannotHaveIsReplacedAndSaid) {
  QuantizeRequest typed = request(folder_ / "out.gguf");
  typed.type = "Q2_K";
  const json report = testing::run(typed);
  const std::string notes = report.value("notes", json()).dump();
  EXPECT_NE(notes.find("35 of 35 linears are Q4_0 (4.5 bits a weight) in place of Q2_K"),
            std::string::npos)
      << notes;
  EXPECT_EQ(open_model(folder_ / "out.gguf")
                ->source()
                .stored_info("model.layers.0.mlp.up_proj.weight")
                .dtype,
            "Q4_0");
  typed = request(folder_ / "strict.gguf");
  typed.type = "Q2_K";
  typed.strict = true;
  EXPECT_NE(message_of([&] { testing::run(typed); }).find("--strict: 35 of 35"), std::string::npos);
  typed.type = "Q4_0";
  testing::run(typed);
  typed = request(folder_ / "folder");
  typed.type = "Q4_0";
  EXPECT_NE(message_of([&] { testing::run(typed); }).find("is of GGUF files"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "folder"));
}

// A model whose widths are whole super-blocks.
class GoldenGgufTypes : public ::testing::TestWithParam<const char*> {
 protected:
  QuantizeRequest request(const fs::path& out) const {
    QuantizeRequest request = testing::request_for(out, "gptq", 4);
    request.model = testing::shared_data("models/zoo/llama_k256");
    request.type = GetParam();
    request.format.clear();
    return request;
  }
  const TemporaryFolder folder_;
};

TEST_P(GoldenGgufTypes, AreReadBackAndResumedToTheSameBytes) {
  HALFTONE_REQUIRE_SHARED("models/zoo/llama_k256/config.json");
  const json report = testing::run(request(folder_ / "whole.gguf"));
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report.value("notes", json()).dump().find("in place of"), std::string::npos);
  const auto written = open_model(folder_ / "whole.gguf");
  for (const char* linear : {"self_attn.k_proj", "mlp.down_proj"})
    EXPECT_EQ(written->source().stored_info(fmt::format("model.layers.3.{}.weight", linear)).dtype,
              GetParam());
  const QuantizeRequest stopped = request(folder_ / "out.gguf");
  testing::interrupt(stopped, 17);
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
  testing::resume_run(stopped, 42 - 2 * testing::kLinearsOfBlock);
  EXPECT_TRUE(read_file(folder_ / "out.gguf") == read_file(folder_ / "whole.gguf"));
}

INSTANTIATE_TEST_SUITE_P(OfSuperBlocks, GoldenGgufTypes,
                         ::testing::Values("Q2_K", "Q3_K", "IQ2_XXS", "IQ3_S", "IQ4_XS", "IQ4_NL",
                                           "TQ1_0", "TQ2_0", "Q1_0", "MXFP4", "NVFP4"));

using GoldenGgufMix = GoldenGgufTypes;

TEST_P(GoldenGgufMix, IsReadBackWithItsEmbeddingAndResumed) {
  HALFTONE_REQUIRE_SHARED("models/zoo/llama_k256/config.json");
  const auto mixed = [&](const char* out) {
    QuantizeRequest asked = request(folder_ / out);
    asked.type.clear();
    asked.mix = GetParam();
    return asked;
  };
  const json report = testing::run(mixed("whole.gguf"));
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report["matrix_types"], json({{"model.embed_tokens.weight", "Q6_K"}}));
  const GgufFile file(folder_ / "whole.gguf");
  EXPECT_EQ(file.metadata().whole("general.file_type"), 15);
  const auto written = open_model(folder_ / "whole.gguf"),
             plain = open_model(testing::shared_data("models/zoo/llama_k256"));
  const std::string embedding = "model.embed_tokens.weight";
  EXPECT_EQ(written->source().stored_info(embedding).dtype, "Q6_K");
  const at::Tensor before = plain->load(embedding).to(at::kFloat);
  EXPECT_LT((written->load(embedding) - before).norm().item<double>(),
            kSixBits * before.norm().item<double>());
  QuantizeRequest stopped = mixed("out.gguf");
  testing::interrupt(stopped, 17);
  stopped.head_type = "Q8_0";
  stopped.resume = true;
  EXPECT_NE(message_of([&] { testing::run(stopped); }).find("matrix_types/model.embed_tokens"),
            std::string::npos);
  stopped.head_type.clear();
  testing::resume_run(stopped, 42 - 2 * testing::kLinearsOfBlock);
  EXPECT_TRUE(read_file(folder_ / "out.gguf") == read_file(folder_ / "whole.gguf"));
}

INSTANTIATE_TEST_SUITE_P(OfTypes, GoldenGgufMix, ::testing::Values("Q4_K_M"));

TEST_F(GgufOutput, TypesAndMixesAreOfGgufFilesAlone) {
  QuantizeRequest typed = request(folder_ / "out.gguf");
  typed.embedding_type = "Q8_0";
  const json report = testing::run(typed);
  EXPECT_EQ(report["matrix_types"], json({{"model.embed_tokens.weight", "Q8_0"}}));
  EXPECT_EQ(
      open_model(folder_ / "out.gguf")->source().stored_info("model.embed_tokens.weight").dtype,
      "Q8_0");
  typed = request(folder_ / "folder");
  typed.head_type = "Q8_0";
  EXPECT_NE(message_of([&] { testing::run(typed); }).find("types are of GGUF files"),
            std::string::npos);
  typed.head_type.clear();
  typed.mix = "Q8_0";
  EXPECT_NE(message_of([&] { testing::run(typed); }).find("--mix Q8_0: is of GGUF files"),
            std::string::npos);
}

TEST_F(GgufOutput, SaysWhatLlamaCppAsksFor) {
  testing::run(request(folder_ / "out.gguf"));
  const GgufFile file(folder_ / "out.gguf");
  const GgufMetadata& metadata = file.metadata();
  EXPECT_EQ(metadata.text("general.architecture"), "llama");
  EXPECT_EQ(metadata.text("general.type"), "model");
  EXPECT_EQ(metadata.whole("general.file_type"), 2);  // Q4_0
  EXPECT_EQ(metadata.whole("general.quantization_version"), 2);
  EXPECT_EQ(metadata.whole("llama.block_count"), 5);
  EXPECT_EQ(metadata.whole("llama.feed_forward_length"), kWidth);
  EXPECT_EQ(metadata.whole("llama.rope.dimension_count"), 8);
  EXPECT_EQ(metadata.texts("tokenizer.ggml.tokens")->size(), 512U);
  for (const GgufTensor& tensor : file.tensors())
    EXPECT_TRUE(tensor.shape.size() > 1 || tensor.type->name == "F32") << tensor.name;
}

TEST_F(GgufOutput, KeepsTheReportOfTheRun) {
  json report = testing::run(request(folder_ / "out.gguf"));
  const GgufFile file(folder_ / "out.gguf");
  const json kept = json::parse(*file.metadata().text("halftone.report"));
  EXPECT_EQ(kept["linears"].size(), 35U);
  EXPECT_EQ(kept["recipe"], report["recipe"]);
  EXPECT_FALSE(kept.contains("seconds"));
}

TEST_F(GgufOutput, CarriesTheTokenizer) {
  testing::run(request(folder_ / "out.gguf"));
  const auto folder = open_model_tokenizer(model_),
             file = open_model_tokenizer(folder_ / "out.gguf");
  const std::string text = "Once upon a time, Lily's cat\nsaw  a <s> 17 naïve dogs.";
  EXPECT_EQ(file->encode(text, true), folder->encode(text, true));
}

TEST_F(GgufOutput, ResumesToTheSameBytes) {
  const QuantizeRequest whole = request(folder_ / "whole.gguf", {}, "gptq");
  const QuantizeRequest stopped = request(folder_ / "out.gguf", {}, "gptq");
  testing::run(whole);
  testing::interrupt(stopped, 17);
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
  testing::resume_run(stopped, 35 - 2 * testing::kLinearsOfBlock);
  EXPECT_TRUE(read_file(folder_ / "out.gguf") == read_file(folder_ / "whole.gguf"));
  testing::resume_run(stopped, 0);  // it is there already
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf.journal"));
}

TEST_F(GgufOutput, ReplacesNothingButItsOwn) {
  const fs::path out = folder_ / "out.gguf";
  QuantizeRequest again = request(out);
  testing::run(again);
  EXPECT_NE(message_of([&] { testing::run(again); }).find("already exists"), std::string::npos);
  again.overwrite = true;
  testing::run(again);
  fs::copy_file(testing::test_data("gguf/stories260K.Q8_0.gguf"), out,
                fs::copy_options::overwrite_existing);
  const std::string message = message_of([&] { testing::run(again); });
  EXPECT_NE(message.find("found a file without its report"), std::string::npos) << message;
  EXPECT_EQ(read_file(out), read_file(testing::test_data("gguf/stories260K.Q8_0.gguf")));
}

TEST_F(GgufOutput, IsCalledWhatItIs) {
  QuantizeRequest wrong = request(folder_ / "out");
  wrong.format = "gguf";
  EXPECT_NE(message_of([&] { testing::run(wrong); }).find("a name that ends in .gguf"),
            std::string::npos);
  wrong = request(folder_ / "out.gguf");
  wrong.format = "native";
  EXPECT_NE(message_of([&] { testing::run(wrong); }).find("a name without .gguf"),
            std::string::npos);
}

TEST_F(GgufOutput, IsRefusedBeforeWorkWhereTheGridDoesNotFit) {
  QuantizeRequest wrong = request(folder_ / "out.gguf", {"grid.bits=3"});
  EXPECT_NE(message_of([&] { testing::run(wrong); }).find("3 bits symmetric"), std::string::npos);
  wrong = request(folder_ / "out.gguf");
  wrong.model = example("stories260K");
  EXPECT_NE(message_of([&] { testing::run(wrong); }).find("172 input columns"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
}

TEST_F(GgufOutput, ConvertWritesPlainModels) {
  SilentProgress progress;
  const auto source = open_model(model_);
  for (const char* type : {"F32", "F16", "BF16", "Q8_0"}) {
    const fs::path out = folder_ / (std::string(type) + ".gguf");
    const json report =
        convert_model({.model = model_, .out = out, .format = "gguf", .type = type}, progress);
    EXPECT_EQ(report["format"], "gguf");
    const auto file = open_model(out);
    EXPECT_EQ(file->names(), source->names());
    const double tolerance = type == std::string("F32") ? 0 : kEightBits;
    for (const std::string& name : source->names())
      EXPECT_TRUE(at::allclose(file->load(name).to(at::kFloat), source->load(name).to(at::kFloat),
                               tolerance, tolerance))
          << name;
    EXPECT_EQ(file->source().stored_info("model.layers.0.mlp.up_proj.weight").dtype, type);
    EXPECT_EQ(file->source().stored_info("model.norm.weight").dtype, "F32");
  }
  const ConvertRequest unknown{
      .model = model_, .out = folder_ / "x.gguf", .format = "gguf", .type = "Q4_K"};
  EXPECT_NE(message_of([&] { convert_model(unknown, progress); }).find("expected one of F32"),
            std::string::npos);
}

TEST_F(GgufOutput, ConvertMovesAGridBitForBit) {
  QuantizeRequest native = request(folder_ / "native");
  native.format = "native";
  testing::run(native);
  SilentProgress progress;
  convert_model({.model = folder_ / "native", .out = folder_ / "moved.gguf", .format = "gguf"},
                progress);
  const auto before = open_model(folder_ / "native"), after = open_model(folder_ / "moved.gguf");
  for (const std::string& name : before->names())
    EXPECT_TRUE(at::equal(before->load(name), after->load(name))) << name;
}

}  // namespace
}  // namespace halftone
