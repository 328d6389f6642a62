#include "pipeline/evaluate_model.h"

#include <gtest/gtest.h>

#include <fstream>

#include "pipeline/demo_request.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

class StepNames final : public Progress {
 public:
  void begin(std::string_view step, int64_t) override { names.emplace_back(step); }
  void update(int64_t, std::string_view) override {}
  void end() override {}
  std::vector<std::string> names;
};

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

EvaluateRequest short_request() {
  EvaluateRequest request;
  request.model = example("stories260K");
  request.text = example("tinystories-evaluation.txt");
  request.length = 64;
  request.windows = 1;
  return request;
}

TEST(CompareModels, EveryStepNamesItsModel) {
  const TemporaryFolder folder;
  fs::create_directory_symlink(example("stories260K"), folder / "copy");
  StepNames progress;
  compare_models({example("stories260K/"), folder / "copy"}, short_request(), progress);
  EXPECT_EQ(progress.names, (std::vector<std::string>{"evaluate stories260K", "evaluate copy"}));
}

TEST(EvaluateModel, ErrorsNameTheirFileOnce) {
  const TemporaryFolder folder;
  const fs::path model = folder / "model";
  fs::copy(example("stories260K"), model);
  std::ofstream(folder / "short.txt") << "Once";
  std::ofstream(folder / "empty.txt");
  std::ofstream(folder / "empty.tokens");
  const auto message = [&](const EvaluateRequest& request) {
    SilentProgress progress;
    return message_of([&] { evaluate_model(request, progress); });
  };
  for (const char* text : {"none.txt", "short.txt", "empty.txt", "none.tokens", "empty.tokens"}) {
    EvaluateRequest request = short_request();
    request.text = folder / text;
    const std::string found = message(request);
    EXPECT_EQ(found.rfind((folder / text).string() + ": ", 0), 0u) << found;
    EXPECT_EQ(count(found, text), 1u) << found;
  }
  EvaluateRequest request = short_request();
  request.model = model;
  for (const char* file : {"tokenizer_config.json", "tokenizer.json", "config.json"}) {
    for (const bool broken : {true, false}) {  // no JSON, or no file
      fs::remove(model / file);
      if (broken)
        std::ofstream(model / file) << "{";
      else
        fs::create_directories(model / file);
      const std::string found = message(request);
      EXPECT_EQ(found.rfind((model / file).string() + ": ", 0), 0u) << found;
      EXPECT_EQ(count(found, folder.path().string()), 1u) << found;
    }
    fs::remove(model / file);
    fs::copy_file(example("stories260K") / file, model / file);
  }
}

TEST(EvaluateModel, DescribesItsProtocol) {
  EvaluateRequest request = short_request();
  request.reference = request.model;
  request.length = 256;
  request.windows = 16;
  SilentProgress progress;
  const nlohmann::json result = evaluate_model(request, progress);
  EXPECT_EQ(result["protocol"]["length"], 256);
  EXPECT_EQ(result["protocol"]["windows"], 16);
  EXPECT_EQ(result["protocol"]["tokens"], 16 * 255);
  EXPECT_EQ(result["compute"], "float32");
  EXPECT_EQ(result["kl"]["mean"], 0);
  EXPECT_EQ(result["top1"]["value"], 1);
  EXPECT_TRUE(result["protocol"]["round_trip"].get<bool>());
  EXPECT_DOUBLE_EQ(result["bits_per_weight"]["quantized"].get<double>(), 32);
}

}  // namespace
}  // namespace halftone
