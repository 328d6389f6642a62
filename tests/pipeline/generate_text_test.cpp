#include "pipeline/generate_text.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/end_tokens.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using Ids = std::vector<TokenId>;
using Json = nlohmann::json;

GenerateRequest demo() {
  GenerateRequest request;
  request.model = example("stories260K");
  request.prompt = "Once upon a time,";
  request.max_tokens = 12;
  request.threads = 1;
  return request;
}

Json generated(const GenerateRequest& request, std::string* grown = nullptr) {
  SilentProgress progress;
  return generate_text(
      request, progress,
      [&](std::string_view more) {
        if (grown) *grown += more;
      },
      [] {});
}

TEST(GenerateText, SaysWhatItSaidAndWhyItEnded) {
  std::string grown;
  const Json result = generated(demo(), &grown);
  EXPECT_EQ(result.at("text"), grown);
  EXPECT_TRUE(grown.starts_with(" there was a ")) << grown;
  EXPECT_EQ(result.at("finish"), "length");
  EXPECT_EQ(result.at("ids").size(), 12u);
  EXPECT_EQ(result.at("prompt_ids").at(0), 1);  // its BOS
  EXPECT_EQ(result.at("compute"), "float32");
  EXPECT_GT(result.at("tokens_per_second").get<double>(), 0);
}

TEST(GenerateText, ReadsGgufFilesAsFolders) {
  const TemporaryFolder folder;
  ConvertRequest convert;
  convert.model = example("stories260K");
  convert.out = folder / "model.gguf";
  convert.format = "gguf";
  convert.type = "F32";
  SilentProgress progress;
  convert_model(convert, progress);
  GenerateRequest request = demo();
  const Json of_folder = generated(request);
  request.model = convert.out;
  EXPECT_EQ(generated(request).at("ids"), of_folder.at("ids"));
  EXPECT_EQ(end_tokens(OpenedModel(convert.out)), Ids{2});
}

TEST(GenerateText, PromptsThatCannotBeAreRefused) {
  GenerateRequest request = demo();
  for (int i = 0; i < 300; ++i) request.prompt += " once upon a time";
  const std::string message = message_of([&] { generated(request); });
  EXPECT_TRUE(message.starts_with("--prompt: ")) << message;
  EXPECT_NE(message.find(" tokens, expected at most 512, the model's context"), std::string::npos);
  request.prompt = "a\xff";
  EXPECT_EQ(message_of([&] { generated(request); }), "--prompt: expected UTF-8, byte 1 is none");
}

TEST(GenerateText, AnEmptyPromptIsTheTokenInFront) {
  GenerateRequest request = demo();
  request.prompt = "";
  const Json result = generated(request);
  EXPECT_EQ(result.at("prompt_ids"), Json({1}));
  EXPECT_FALSE(result.at("text").get<std::string>().starts_with(" "));
}

fs::path copied_model(const TemporaryFolder& folder) {
  const fs::path model = folder / "model";
  fs::copy(example("stories260K"), model);
  return model;
}

TEST(GenerateText, LogitsThatAreNoNumbersAreAnErrorWithTheirCause) {
  const TemporaryFolder folder;
  GenerateRequest request = demo();
  request.model = copied_model(folder);
  std::string bytes = read_file(request.model / "model.safetensors");
  for (size_t i = bytes.size() - 64; i < bytes.size(); ++i) bytes[i] = '\xff';
  write_file_atomically(request.model / "model.safetensors", bytes);
  const std::string message = message_of([&] { generated(request); });
  EXPECT_NE(message.find("expected logits that are numbers; "), std::string::npos) << message;
  EXPECT_NE(message.find("model."), std::string::npos) << message;
}

TEST(EndTokens, AreOfTheGenerationConfigOrElseOfTheConfig) {
  const TemporaryFolder folder;
  const fs::path model = copied_model(folder);
  EXPECT_EQ(end_tokens(OpenedModel(model)), Ids{2});
  const auto with = [&](const char* config) {
    std::ofstream(model / "generation_config.json") << config;
    return end_tokens(OpenedModel(model));
  };
  EXPECT_EQ(with(R"({"eos_token_id": [5, 7]})"), (Ids{5, 7}));
  EXPECT_EQ(with(R"({"eos_token_id": 6})"), Ids{6});
  EXPECT_EQ(with(R"({"temperature": 1})"), Ids{2});
  EXPECT_EQ(with(R"({"eos_token_id": null})"), Ids{2});
  for (const char* wrong : {R"({"eos_token_id": "x"})", R"({"eos_token_id": [1, -2]})", "[]", "{"})
    EXPECT_NE(message_of([&] { with(wrong); }).find("generation_config.json: "), std::string::npos)
        << wrong;
}

TEST(GenerateText, AChatIsWhatTheModelsTemplateWrites) {
  const TemporaryFolder folder;
  fs::copy(example("stories260K"), folder / "model", fs::copy_options::recursive);
  GenerateRequest request = demo();
  request.model = folder / "model";
  request.chat = true;
  EXPECT_NE(message_of([&] { generated(request); }).find("no chat template"), std::string::npos);
  std::ofstream(folder / "model" / "chat_template.jinja")
      << "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}";
  request.system = "Tell a story.";
  const Json result = generated(request);
  EXPECT_EQ(result.at("prompt"), "system: Tell a story. user: Once upon a time, ");
  EXPECT_NE(result.at("prompt_ids").at(0), 1);  // the template writes no BOS
  SilentProgress progress;
  convert_model({.model = folder / "model", .out = folder / "model.gguf", .format = "gguf"},
                progress);
  request.model = folder / "model.gguf";
  EXPECT_EQ(generated(request).at("ids"), result.at("ids"));
}

}  // namespace
}  // namespace halftone
