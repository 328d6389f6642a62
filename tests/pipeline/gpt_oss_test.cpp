// GPT-OSS quantized: experts with biases, sinks, folders that hold the experts of a layer together.
// The random model of tests/data/forward, with embeddings for the demo model's tokens.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::TemporaryFolder;
using testing::test_data;

constexpr int64_t kVocab = 512;
constexpr double kRoundingOfDense =
    0.02;                            // of a KL, by weights rounded to bfloat16; 0.004 was seen
constexpr double kEightBits = 2e-2;  // of weights about 1, in groups of 32

// layout: "gpt_oss" or "gpt_oss_mxfp4"
fs::path with_tokens(const fs::path& to, const std::string& layout) {
  const fs::path from = test_data("forward/mixtures/" + layout);
  const SafetensorsFile file(from / "model.safetensors");
  std::map<std::string, at::Tensor> tensors;
  for (const StoredTensor& tensor : file.tensors()) tensors[tensor.name] = file.view(tensor);
  at::manual_seed(9);
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"})
    tensors[name] = at::randn({kVocab, tensors.at(name).size(1)}).to(at::kBFloat16);
  json config = read_json(from / "config.json");
  config["vocab_size"] = kVocab;
  fs::create_directory(to);
  write_file_atomically(to / "config.json", config.dump());
  write_safetensors(to / "model.safetensors", tensors, {{"format", "pt"}});
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    fs::copy(testing::example("stories260K") / name, to);
  return to;
}

class GptOssRun : public ::testing::Test {
 protected:
  QuantizeRequest request(const std::string& out, const std::string& recipe, int bits,
                          const std::string& format) const {
    QuantizeRequest request = testing::request_for(folder_ / out, recipe, bits);
    request.model = model_;
    apply_setting(request.recipe, "grid.group_size=32");
    request.length = 64;
    request.format = format;
    return request;
  }

  double divergence(const std::string& out) const {
    EvaluateRequest request;
    request.model = folder_ / out;
    request.reference = model_;
    request.texts = {testing::example("tinystories-calibration.txt")};
    request.length = 64;
    request.windows = 8;
    request.threads = 2;
    SilentProgress progress;
    return evaluate_model(request, progress)["kl"]["mean"].get<double>();
  }

  const TemporaryFolder folder_;
  const fs::path model_ = with_tokens(folder_ / "model", "gpt_oss");
};

TEST_F(GptOssRun, EveryFormatOfFoldersGivesBackTheSameExperts) {
  double first = 0;  // large: of a random model
  for (const char* format : {"native", "compressed-tensors", "gptq", "awq", "dense"}) {
    const json report = testing::run(request(format, "gptq", 4, format));
    EXPECT_EQ(report["verified"], true) << format;
    EXPECT_EQ(report["linears"].size(), 2u * (4 + 3 * 4)) << format;
    const double kl = divergence(format);
    if (first == 0) first = kl;
    EXPECT_GT(kl, 0) << format;
    EXPECT_NEAR(kl, first, kRoundingOfDense * first) << format;
  }
}

TEST_F(GptOssRun, GptqBeatsRoundToNearest) {
  testing::run(request("rtn", "rtn", 3, "native"));
  testing::run(request("gptq", "gptq", 3, "native"));
  EXPECT_LT(divergence("gptq"), divergence("rtn"));
}

TEST_F(GptOssRun, ExpertsAsPublishedAreQuantizedToTheSameBytes) {
  QuantizeRequest plain = request("plain", "gptq", 4, "dense"),
                  published = request("published", "gptq", 4, "dense");
  published.model = with_tokens(folder_ / "mxfp4", "gpt_oss_mxfp4");
  testing::run(plain);
  testing::run(published);
  EXPECT_EQ(read_file(folder_ / "plain" / "model.safetensors"),
            read_file(folder_ / "published" / "model.safetensors"));
}

TEST_F(GptOssRun, DenseOutputsHoldTheTensorsOfTheSource) {
  testing::run(request("native", "rtn", 8, "native"));
  SilentProgress progress;
  convert_model({.model = folder_ / "native", .out = folder_ / "dense", .format = "dense"},
                progress);
  const SafetensorsFile source(model_ / "model.safetensors"),
      dense(folder_ / "dense" / "model.safetensors");
  ASSERT_EQ(dense.tensors().size(), source.tensors().size());
  for (const StoredTensor& tensor : source.tensors()) {
    const StoredTensor* found = dense.find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
    EXPECT_TRUE(at::allclose(dense.view(*found).to(at::kFloat), source.view(tensor).to(at::kFloat),
                             kEightBits, kEightBits))
        << tensor.name;
  }
}

TEST_F(GptOssRun, GradientsReachEveryLinear) {
  const json report = testing::run(request("guided", "guided", 4, "native"));
  for (const json& linear : report["linears"]) {
    if (linear.value("tokens", 1) == 0) continue;  // of an expert
    EXPECT_EQ(linear["fallback"], "") << linear["name"];
  }
}

TEST_F(GptOssRun, GgufFilesAreRefusedByTheClass) {
  SilentProgress progress;
  const std::string message = testing::message_of([&] {
    (void)convert_model({.model = model_, .out = folder_ / "x.gguf", .format = "gguf"}, progress);
  });
  EXPECT_NE(message.find("GptOssForCausalLM"), std::string::npos) << message;
}

}  // namespace
}  // namespace halftone
