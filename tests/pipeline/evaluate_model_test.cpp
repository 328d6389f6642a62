#include "pipeline/evaluate_model.h"

#include <gtest/gtest.h>

#include <cmath>
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
  request.texts = {example("tinystories-evaluation.txt")};
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

TEST(CompareModels, EveryModelIsOpenedBeforeTheFirstIsScored) {
  const TemporaryFolder folder;
  StepNames progress;
  EXPECT_NE(
      message_of([&] {
        compare_models({example("stories260K"), folder / "absent"}, short_request(), progress);
      }).find("absent: expected a model"),
      std::string::npos);
  EXPECT_EQ(progress.names, std::vector<std::string>());
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
    request.texts = {folder / text};
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

// The demo model in few bits, against itself.
class SeveralTexts : public ::testing::Test {
 protected:
  static nlohmann::json evaluate(const fs::path& model, std::vector<fs::path> texts) {
    EvaluateRequest request = short_request();
    request.model = model;
    request.reference = example("stories260K");
    request.windows = 5;
    request.texts = std::move(texts);
    SilentProgress progress;
    return evaluate_model(request, progress);
  }
  fs::path quantized(int bits) {
    const fs::path out = folder_ / fmt::format("w{}", bits);
    testing::run(testing::request_for(out, "rtn", bits));
    return out;
  }
  const TemporaryFolder folder_;
  const fs::path stories_ = example("tinystories-evaluation.txt"), other_ = folder_ / "b.txt";
};

TEST_F(SeveralTexts, AreEachWhatTheyAreAloneAndAllTogetherTheirMean) {
  std::ofstream(other_) << std::string(2000, 'x') << " zebra 17 " << std::string(2000, 'q');
  const fs::path model = quantized(4);
  const auto both = evaluate(model, {stories_, other_}), first = evaluate(model, {stories_}),
             second = evaluate(model, {other_});
  ASSERT_EQ(both["texts"].size(), 2u);
  EXPECT_EQ(both["text"], nlohmann::json({stories_.string(), other_.string()}));
  EXPECT_EQ(both["protocol"]["windows"], 10);
  EXPECT_FALSE(both["protocol"].contains("ids_sha256"));
  const auto near = [](const nlohmann::json& a, const nlohmann::json& b) {
    EXPECT_NEAR(a.get<double>(), b.get<double>(), 1e-5 * std::abs(b.get<double>()) + 1e-7);
  };
  for (const auto& [row, alone] :
       {std::pair{both["texts"][0], first}, {both["texts"][1], second}}) {
    EXPECT_EQ(row["ids_sha256"], alone["protocol"]["ids_sha256"]);
    for (const char* name : {"mean", "stderr", "low", "high", "p99"})
      near(row["kl"][name], alone["kl"][name]);
    near(row["perplexity"]["value"], alone["perplexity"]["value"]);
  }
  const double a = first["kl"]["mean"], b = second["kl"]["mean"];
  near(both["kl"]["mean"], (a + b) / 2);
  near(both["groups"]["mean"], (a + b) / 2);
  near(both["groups"]["worst"], std::max(a, b));
  near(both["groups"]["gap"], std::max(a, b) - (a + b) / 2);
  EXPECT_EQ(both["groups"]["worst_text"], (a > b ? stories_ : other_).string());
}

TEST_F(SeveralTexts, OneTextHasNoGroups) {
  const auto result = evaluate(quantized(4), {stories_});
  EXPECT_FALSE(result.contains("texts") || result.contains("groups"));
  EXPECT_LT(result["kl"]["low"], result["kl"]["mean"]);
  EXPECT_GT(result["kl"]["high"], result["kl"]["mean"]);
  EXPECT_GT(result["reverse_kl"]["mean"], 0);
  int64_t positions = 0;
  double sum = 0;
  for (const auto& bucket : result["by_confidence"]) {
    positions += bucket["positions"].get<int64_t>();
    if (bucket["positions"] > 0)
      sum += bucket["positions"].get<double>() * bucket["kl"].get<double>();
  }
  EXPECT_EQ(positions, result["protocol"]["tokens"]);
  EXPECT_NEAR(sum / static_cast<double>(positions), result["kl"]["mean"].get<double>(), 1e-9);
}

// Counts the steps whose name begins so.
class StepCount final : public Progress {
 public:
  explicit StepCount(std::string wanted) : wanted_(std::move(wanted)) {}
  void begin(std::string_view step, int64_t) override { count += step.starts_with(wanted_); }
  void update(int64_t, std::string_view) override {}
  void end() override {}

  int count = 0;

 private:
  std::string wanted_;
};

TEST_F(SeveralTexts, TheNoiseFloorIsMeasuredOnceForAllThatAreCompared) {
  const fs::path near = quantized(8);
  EvaluateRequest request;
  request.texts = {stories_};
  request.length = 128;
  request.windows = 4;
  request.threads = 1;
  StepCount floors("noise floor");
  const auto rows = compare_models({example("stories260K"), near, near}, request, floors);
  ASSERT_TRUE(rows[1].contains("noise_floor")) << rows[1]["kl"];
  EXPECT_EQ(rows[1]["noise_floor"], rows[2]["noise_floor"]);
  EXPECT_EQ(floors.count, 1);
}

TEST_F(SeveralTexts, TheNoiseFloorStandsBesideAKlThatIsNearIt) {
  EXPECT_FALSE(evaluate(quantized(3), {stories_}).contains("noise_floor"));
  const auto near = evaluate(quantized(8), {stories_});
  ASSERT_TRUE(near.contains("noise_floor")) << near["kl"];
  EXPECT_GT(near["noise_floor"]["kl"].get<double>() * 10, near["kl"]["mean"].get<double>());
}

}  // namespace
}  // namespace halftone
