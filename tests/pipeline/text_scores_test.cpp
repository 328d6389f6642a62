#include "pipeline/text_scores.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "evaluate/log_probability_file.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::shared_data;
using ::halftone::testing::TemporaryFolder;

EvaluateRequest llama_request() {
  EvaluateRequest request;
  request.model = example("stories260K");
  request.texts = {example("tinystories-evaluation.txt")};
  request.protocol = Protocol::kLlama;
  request.length = 64;
  request.windows = 3;
  return request;
}

nlohmann::json evaluate(const EvaluateRequest& request) {
  SilentProgress progress;
  return evaluate_model(request, progress);
}

TEST(LlamaProtocol, ScoresTheSecondHalfOfEachWindow) {
  EvaluateRequest request = llama_request();
  request.reference = request.model;
  const nlohmann::json result = evaluate(request);
  EXPECT_EQ(result["protocol"]["name"], "llama");
  EXPECT_EQ(result["protocol"]["tokens"], 3 * 31);
  EXPECT_EQ(result["llama"]["ratio"]["value"], 1);
  EXPECT_EQ(result["llama"]["kl"]["max"], 0);
  request.length = 0;
  request.windows = 1;
  EXPECT_EQ(evaluate(request)["protocol"]["length"], 512);
}

TEST(LlamaProtocol, AFileOfLogProbabilitiesStandsForTheModelThatItIsOf) {
  const TemporaryFolder folder;
  EvaluateRequest request = llama_request();
  request.written = folder / "base";
  const nlohmann::json alone = evaluate(request);
  EvaluateRequest against = llama_request();
  against.reference = folder / "base";
  for (const bool with_text : {true, false}) {
    if (!with_text) against.texts.clear();
    const nlohmann::json result = evaluate(against);
    EXPECT_NEAR(result["perplexity"]["value"].get<double>(),
                alone["perplexity"]["value"].get<double>(), 1e-6);
    EXPECT_EQ(result["protocol"]["tokens"], 3 * 31);
    EXPECT_LT(std::abs(result["kl"]["mean"].get<double>()), 1e-5);  // 16 bits a number
    EXPECT_EQ(result["llama"]["top1"]["value"], 1);
  }
}

TEST(LlamaProtocol, AFileOfAnotherTextOrLengthIsRefused) {
  const TemporaryFolder folder;
  EvaluateRequest request = llama_request();
  request.written = folder / "base";
  evaluate(request);
  EXPECT_NE(message_of([&] { evaluate(request); }).find("exists"), std::string::npos);
  request.written.clear();
  request.reference = folder / "base";
  request.length = 32;
  EXPECT_NE(message_of([&] { evaluate(request); }).find("has windows of 64 tokens"),
            std::string::npos);
  request.length = 0;
  request.texts = {example("tinystories-calibration.txt")};
  EXPECT_NE(message_of([&] { evaluate(request); }).find("another text or tokenizer?"),
            std::string::npos);
}

TEST(GoldenLlamaProtocol, AgreesWithLlamaPerplexityWithinItsRoundingOfActivations) {
  HALFTONE_REQUIRE_SHARED("golden/llama_perplexity/base.bin");
  EvaluateRequest request;
  request.protocol = Protocol::kLlama;
  request.reference = shared_data("golden/llama_perplexity/base.bin");
  const auto kl_of = [&](const char* name) {
    request.model = shared_data(std::string("golden/gguf/files/") + name);
    return evaluate(request);
  };
  const nlohmann::json plain = kl_of("stories260K.F16.gguf"), q8 = kl_of("stories260K.Q8_0.gguf");
  EXPECT_LT(plain["kl"]["mean"].get<double>(), 1e-5);  // llama.cpp computed in float16 there
  EXPECT_NEAR(q8["llama"]["base_perplexity"]["value"].get<double>(), 5.348114, 1e-6);
  EXPECT_NEAR(q8["llama"]["base_perplexity"]["stderr"].get<double>(), 0.443197, 1e-6);
  EXPECT_NEAR(q8["llama"]["perplexity"]["value"].get<double>(), 5.637, 0.03);
  EXPECT_NEAR(q8["llama"]["correlation"].get<double>(), 0.9819, 0.001);
  // 0.001265 there, where activations are rounded to 8 bits too
  EXPECT_GT(q8["kl"]["mean"].get<double>(), 0.0003);
  EXPECT_LT(q8["kl"]["mean"].get<double>(), 0.001265);
}

TEST(GoldenLlamaProtocol, WritesTheFileThatLlamaPerplexityWrites) {
  HALFTONE_REQUIRE_SHARED("golden/llama_perplexity/base.bin");
  const TemporaryFolder folder;
  EvaluateRequest request;
  request.model = shared_data("golden/gguf/files/stories260K.F16.gguf");
  request.texts = {shared_data("golden/llama_perplexity/text.txt")};
  request.protocol = Protocol::kLlama;
  request.length = 256;
  request.windows = 6;
  request.written = folder / "base";
  evaluate(request);
  const fs::path golden = shared_data("golden/llama_perplexity/base.bin");
  EXPECT_EQ(fs::file_size(folder / "base"), fs::file_size(golden));
  const LogProbabilityFile own(folder / "base"), other(golden);
  EXPECT_EQ(own.windows(0).ids, other.windows(0).ids);
  const at::Tensor difference = own.rows(3, 128, 127) - other.rows(3, 128, 127);
  EXPECT_LT(difference.abs().mean().item<double>(), 0.01);
}

}  // namespace
}  // namespace halftone
