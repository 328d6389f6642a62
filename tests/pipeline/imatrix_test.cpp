#include "pipeline/imatrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint/gguf_file.h"
#include "format/format.h"
#include "pipeline/demo_request.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::message_of;
using testing::TemporaryFolder;

constexpr int64_t kSequences = 3, kLength = 32;

QuantizeRequest request_for(const std::filesystem::path& out, const std::string& recipe) {
  QuantizeRequest request = testing::request_for(out, recipe, /*bits=*/4);
  request.sequences = kSequences;
  request.length = kLength;
  return request;
}

std::vector<float> numbers(const GgufFile& file, const std::string& name) {
  for (const GgufTensor& tensor : file.tensors())
    if (tensor.name == name) {
      std::vector<float> values(static_cast<size_t>(tensor.shape.back()));
      std::memcpy(values.data(), file.bytes(tensor).data(), values.size() * sizeof(float));
      return values;
    }
  return {};
}

TEST(Imatrix, HoldsTheSquaresOfEveryLinearsInput) {
  const TemporaryFolder folder;
  SilentProgress progress;
  const auto report = write_imatrix(request_for(folder / "i.gguf", "gptq"), progress);
  EXPECT_EQ(report["linears"], 35);
  EXPECT_EQ(report["tokens"], kSequences * kLength);
  const GgufFile file(folder / "i.gguf");
  EXPECT_EQ(file.metadata().text("general.type"), "imatrix");
  EXPECT_EQ(file.metadata().whole("imatrix.chunk_count"), kSequences);
  EXPECT_EQ(file.metadata().whole("imatrix.chunk_size"), kLength);
  EXPECT_EQ(file.metadata().texts("imatrix.datasets")->size(), 1U);
  EXPECT_EQ(file.tensors().size(), 70U);
  const auto q = numbers(file, "blk.2.attn_q.weight.in_sum2");
  ASSERT_EQ(q.size(), 64U);
  for (const float sum : q) EXPECT_GT(sum, 0);
  EXPECT_EQ(numbers(file, "blk.2.attn_k.weight.in_sum2"), q);
  EXPECT_EQ(numbers(file, "blk.2.attn_v.weight.in_sum2"), q);
  EXPECT_NE(numbers(file, "blk.2.attn_output.weight.in_sum2"), q);
  EXPECT_EQ(numbers(file, "blk.4.ffn_down.weight.in_sum2").size(), 172U);
  EXPECT_EQ(numbers(file, "blk.4.ffn_down.weight.counts"),
            std::vector<float>{kSequences * kLength});
  // behind a norm whose weight is near 1 a token's squares add up to about the width
  double sum = 0;
  for (const float each : numbers(file, "blk.0.attn_q.weight.in_sum2")) sum += each;
  EXPECT_GT(sum / (kSequences * kLength), 1);
}

TEST(Imatrix, FollowsTheObjectiveOfTheRecipe) {
  const TemporaryFolder folder;
  SilentProgress progress;
  write_imatrix(request_for(folder / "input.gguf", "gptq"), progress);
  EXPECT_EQ(write_imatrix(request_for(folder / "guided.gguf", "guided"), progress)["objective"],
            "guided");
  const GgufFile input(folder / "input.gguf"), guided(folder / "guided.gguf");
  EXPECT_NE(numbers(input, "blk.0.attn_q.weight.in_sum2"),
            numbers(guided, "blk.0.attn_q.weight.in_sum2"));
}

at::Tensor weight_in(const std::filesystem::path& path, const char* name) {
  return open_model(path)->load(name);
}

TEST(Imatrix, OfAFileWeighsErrorsWithoutAText) {
  const TemporaryFolder folder;
  SilentProgress progress;
  write_imatrix(request_for(folder / "i.gguf", "gptq"), progress);
  QuantizeRequest weighed = testing::request_for(folder / "weighed", "gptq", 2);
  apply_setting(weighed.recipe, "grid.clip_weights=factor");
  apply_setting(weighed.recipe, "grid.clip_search=true");
  weighed.calibration.clear();
  weighed.imatrix = folder / "i.gguf";
  const nlohmann::json report = testing::run(weighed);
  EXPECT_EQ(report["verified"], true);
  EXPECT_TRUE(report["calibration"].is_null());
  EXPECT_EQ(report["imatrix_sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(report["linears"][0]["objective"], "imatrix");
  EXPECT_EQ(report["linears"][0]["fallback"], "");
  EXPECT_LT(report["linears"][0]["loss_ratio_to_rtn"], 1);
  // the same as with all importances alike is the same as rounding
  QuantizeRequest plain = testing::request_for(folder / "plain", "rtn", 2);
  apply_setting(plain.recipe, "grid.clip_search=true");
  testing::run(plain);
  const char* name = "model.layers.3.mlp.down_proj.weight";
  EXPECT_FALSE(at::equal(weight_in(folder / "weighed", name), weight_in(folder / "plain", name)));
  weighed.out = folder / "again";
  testing::run(weighed);
  EXPECT_EQ(testing::contents(folder / "weighed"), testing::contents(folder / "again"));
}

TEST(Imatrix, OfAFileIsRefusedWhereItDoesNotFit) {
  const TemporaryFolder folder;
  SilentProgress progress;
  write_imatrix(request_for(folder / "i.gguf", "gptq"), progress);
  const auto refusal = [&](const QuantizeRequest& request) {
    return message_of([&] { testing::run(request); });
  };
  QuantizeRequest asked = testing::request_for(folder / "out", "gptq", 4);
  asked.imatrix = folder / "i.gguf";
  EXPECT_NE(refusal(asked).find("--imatrix with --calibration"), std::string::npos);
  asked.calibration.clear();
  asked.recipe.rules = {{.match = "*.q_proj", .settings = {{"objective.kind", "input"}}}};
  EXPECT_NE(refusal(asked).find("sets an objective of its own"), std::string::npos);
  asked.recipe.rules.clear();
  asked.model = testing::shared_data("models/zoo/llama_k256");
  if (std::filesystem::exists(asked.model)) {
    EXPECT_NE(refusal(asked).find("of another model?"), std::string::npos);
  }
  QuantizeRequest without = testing::request_for(folder / "out", "gptq", 4);
  apply_setting(without.recipe, "objective.kind=imatrix");
  EXPECT_NE(refusal(without).find("needs --imatrix FILE"), std::string::npos);
}

TEST(Imatrix, IsRefusedBeforeWork) {
  const TemporaryFolder folder;
  SilentProgress progress;
  const auto refusal = [&](const QuantizeRequest& request) {
    return message_of([&] { write_imatrix(request, progress); });
  };
  EXPECT_NE(refusal(request_for(folder / "i.gguf", "rtn")).find("measures nothing"),
            std::string::npos);
  EXPECT_NE(refusal(request_for(folder / "i.gguf", "halftone")).find("transform.rotation"),
            std::string::npos);
  QuantizeRequest partly = request_for(folder / "i.gguf", "gptq");
  partly.recipe.rules = {{.match = "*.down_proj",
                          .settings = {{"objective.kind", "none"}, {"order.kind", "natural"}}}};
  EXPECT_NE(refusal(partly).find("measures nothing for model.layers.0.mlp.down_proj"),
            std::string::npos);
  EXPECT_NE(refusal(request_for(folder / "i", "gptq")).find(".gguf"), std::string::npos);
  write_imatrix(request_for(folder / "i.gguf", "gptq"), progress);
  EXPECT_NE(refusal(request_for(folder / "i.gguf", "gptq")).find("already exists"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
