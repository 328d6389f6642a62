// Embedding and head in a GGUF file's types and on a folder's grids, of the demo model and of one
// whose head is a matrix of its own.
#include "pipeline/outer_matrices.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/gguf_blocks.h"
#include "pipeline/demo_request.h"
#include "pipeline/filled_model.h"
#include "pipeline/interrupted_run.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::TemporaryFolder;

constexpr const char *kEmbedding = "model.embed_tokens.weight", *kHead = "lm_head.weight";
constexpr int64_t kLinears = 35;

class OuterMatrices : public ::testing::Test {
 protected:
  QuantizeRequest request(const std::string& out, const std::string& recipe, const fs::path& model,
                          const std::string& type) const {
    QuantizeRequest request = testing::request_for(folder_ / out, recipe, 4);
    request.format.clear();
    request.model = model;
    request.type = "Q4_0";
    request.embedding_type = request.head_type = type;
    return request;
  }
  QuantizeRequest folder_request(const std::string& out, const std::string& recipe,
                                 const fs::path& model, const std::string& format,
                                 const std::string& bits) const {
    QuantizeRequest asked = request(out, recipe, model, bits);
    asked.format = format;
    asked.type.clear();
    return asked;
  }
  // What rounding as ggml does it leaves.
  static double error_of_ggml(const at::Tensor& weight, const GgufType& type) {
    const at::Tensor numbers = weight.to(at::kFloat).contiguous();
    at::Tensor back = at::empty_like(numbers);
    const int64_t blocks = numbers.numel() / type.block_length;
    std::vector<uint8_t> bytes(static_cast<size_t>(blocks * type.block_bytes));
    type.encode(blocks, numbers.const_data_ptr<float>(), bytes.data());
    type.decode(blocks, bytes.data(), back.mutable_data_ptr<float>());
    return (back - numbers).norm().item<double>();
  }
  static double error_of(const fs::path& file, const at::Tensor& weight, const char* name) {
    return (open_model(file)->load(name).to(at::kFloat) - weight.to(at::kFloat))
        .norm()
        .item<double>();
  }

  const TemporaryFolder folder_;
  const fs::path tied_ = testing::filled_up(folder_ / "tied"),
                 own_head_ = testing::filled_up(folder_ / "own_head", /*own_head=*/true);
};

TEST_F(OuterMatrices, AnOwnHeadIsCompensatedLikeALinear) {
  const json report = testing::run(request("out.gguf", "gptq", own_head_, "Q4_0"));
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report["linears"].size(), 35U);
  const json& head = report["head"];
  EXPECT_EQ(head["name"], "lm_head");
  EXPECT_EQ(head["objective"], "input");
  EXPECT_LT(head["loss_ratio_to_rtn"], 0.8);
  EXPECT_GT(head["relative_error"], 0);
  EXPECT_EQ(head["bits_per_weight"], 4.5);
  const auto written = open_model(folder_ / "out.gguf");
  for (const char* name : {kEmbedding, kHead})
    EXPECT_EQ(written->source().stored_info(name).dtype, "Q4_0");
  // what compensates moves weights further than rounding does
  const at::Tensor weight = open_model(own_head_)->load(kHead);
  testing::run(request("rtn.gguf", "rtn", own_head_, "Q4_0"));
  EXPECT_GT(error_of(folder_ / "out.gguf", weight, kHead),
            1.02 * error_of(folder_ / "rtn.gguf", weight, kHead));
}

TEST_F(OuterMatrices, AHeadThatIsTheEmbeddingIsOnlyWeighed) {
  const json report = testing::run(request("out.gguf", "gptq", tied_, "Q4_0"));
  const json& head = report["head"];
  EXPECT_EQ(head["name"], "model.embed_tokens");
  EXPECT_LT(head["loss_ratio_to_rtn"], 1);
  const at::Tensor weight = open_model(tied_)->load(kEmbedding);
  testing::run(request("rtn.gguf", "rtn", tied_, "Q4_0"));
  const double plain = error_of(folder_ / "rtn.gguf", weight, kEmbedding),
               weighed = error_of(folder_ / "out.gguf", weight, kEmbedding);
  EXPECT_GE(weighed, plain);
  EXPECT_LT(weighed, 1.1 * plain);
}

TEST_F(OuterMatrices, WithoutAnObjectiveAreRoundedByOurOwnSearch) {
  const at::Tensor weight = open_model(tied_)->load(kEmbedding);
  for (const std::string name : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}) {
    const json report = testing::run(request(name + ".gguf", "rtn", tied_, name));
    EXPECT_FALSE(report.contains("head"));
    EXPECT_LE(error_of(folder_ / (name + ".gguf"), weight, kEmbedding),
              error_of_ggml(weight, *find_gguf_type(std::string_view(name))))
        << name;
  }
}

TEST_F(OuterMatrices, InPlainTypesComeAsTheyAre) {
  const json report = testing::run(request("out.gguf", "gptq", own_head_, "F16"));
  EXPECT_FALSE(report.contains("head"));
  EXPECT_TRUE(at::equal(open_model(folder_ / "out.gguf")->load(kHead),
                        open_model(own_head_)->load(kHead).to(at::kHalf)));
}

TEST_F(OuterMatrices, OfAResumedRunAreTheSameBytes) {
  for (const fs::path& model : {tied_, own_head_}) {
    const std::string name = model.filename().string();
    testing::run(request(name + "-whole.gguf", "gptq", model, "Q5_0"));
    const QuantizeRequest stopped = request(name + ".gguf", "gptq", model, "Q5_0");
    testing::interrupt(stopped, 17);
    const json report = testing::resume_run(stopped, kLinears - 2 * testing::kLinearsOfBlock);
    EXPECT_TRUE(report.contains("head"));
    EXPECT_TRUE(read_file(folder_ / (name + ".gguf")) ==
                read_file(folder_ / (name + "-whole.gguf")))
        << name;
  }
}

TEST_F(OuterMatrices, FollowRotationsAndTargets) {
  QuantizeRequest asked = request("out.gguf", "halftone", own_head_, "Q4_0");
  const json report = testing::run(asked);
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report["head"]["objective"], "input");
  EXPECT_LT(report["head"]["loss_ratio_to_rtn"], 0.9);
  asked =
      request("guided.gguf", "guided", own_head_, "Q4_0");  // its own gradients are not followed
  EXPECT_EQ(testing::run(asked)["head"]["objective"], "input");
}

TEST_F(OuterMatrices, TakeWhatARuleSaysOfTheHead) {
  QuantizeRequest asked = request("out.gguf", "gptq", own_head_, "Q4_0");
  asked.recipe.rules.push_back(
      {.match = "lm_head", .settings = {{"objective.kind", "none"}, {"order.kind", "natural"}}});
  EXPECT_FALSE(testing::run(asked).contains("head"));
}

TEST_F(OuterMatrices, OfAFolderAreOnAGridLikeLinears) {
  for (const std::string format : {"native", "compressed-tensors", "dense"}) {
    const json report = testing::run(folder_request(format, "gptq", own_head_, format, "4"));
    EXPECT_EQ(report["verified"], true);
    EXPECT_EQ(report["matrix_types"], json({{kEmbedding, "4 bits"}, {kHead, "4 bits"}}));
    EXPECT_EQ(report["linears"].size(), 35U);
    EXPECT_EQ(report["head"]["name"], "lm_head");
    EXPECT_LT(report["head"]["loss_ratio_to_rtn"], 0.9);
  }
  const auto native = open_model(folder_ / "native"),
             compressed = open_model(folder_ / "compressed-tensors"),
             dense = open_model(folder_ / "dense");
  EXPECT_EQ(native->linears().size(), 37U);
  for (const char* name : {kEmbedding, kHead}) {
    const at::Tensor weight = native->load(name);
    EXPECT_TRUE(at::equal(weight, dense->load(name).to(at::kFloat))) << name;
    EXPECT_TRUE(at::equal(weight, compressed->load(name))) << name;
    const at::Tensor rows = at::tensor({5, 0, 511, 5}, at::kLong);
    for (const auto* model : {&native, &compressed})
      EXPECT_TRUE(at::equal((*model)->load_rows(name, rows), weight.index_select(0, rows))) << name;
  }
}

TEST_F(OuterMatrices, OfAFolderMakeItSmaller) {
  QuantizeRequest asked = folder_request("four", "trellis", tied_, "native", "4");
  asked.head_type.clear();
  for (const char* setting : {"grid.group_size=0", "grid.state_bits=8"})
    apply_setting(asked.recipe, setting);
  const json four = testing::run(asked);
  asked.embedding_type.clear();
  asked.out = folder_ / "whole";
  const json whole = testing::run(asked);
  const at::Tensor weight = open_model(tied_)->load(kEmbedding).to(at::kFloat);
  // float32 before; 4 bits, and for each 64 weights a scale of 16 and a zero of 4 after
  const int64_t saved = weight.numel() * 4 - weight.numel() * (4 * 64 + 16 + 4) / 64 / 8;
  EXPECT_NEAR(whole["bytes"].get<double>() - four["bytes"].get<double>(),
              static_cast<double>(saved), 600);
  EXPECT_EQ(whole["bits_per_weight"]["quantized"], four["bits_per_weight"]["quantized"]);
  EXPECT_LT(error_of(folder_ / "four", weight, kEmbedding), 0.12 * weight.norm().item<double>());
}

TEST_F(OuterMatrices, OfAnInterruptedFolderAreTheSameBytes) {
  testing::run(folder_request("whole", "gptq", own_head_, "native", "3"));
  const QuantizeRequest stopped = folder_request("out", "gptq", own_head_, "native", "3");
  testing::interrupt(stopped, 17);
  testing::resume_run(stopped, kLinears - 2 * testing::kLinearsOfBlock);
  EXPECT_TRUE(read_file(folder_ / "out" / "model.safetensors") ==
              read_file(folder_ / "whole" / "model.safetensors"));
}

TEST_F(OuterMatrices, OfAFolderMustBeANumberOfBitsThatItHolds) {
  const auto refusal = [&](const std::string& format, const std::string& bits) {
    return testing::message_of(
        [&] { testing::run(folder_request("refused", "rtn", tied_, format, bits)); });
  };
  for (const std::string bits : {"Q4_0", "9", "1", "4.5", "-3", "4 "})
    EXPECT_EQ(
        refusal("native", bits),
        "--embedding " + bits +
            ": expected 2 to 8 bits; types are of GGUF files: add --format gguf, or end --out "
            "in .gguf");
  EXPECT_NE(refusal("gptq_v2", "4")
                .find("model.embed_tokens: an embedding; GPTQ files hold linears "
                      "alone"),
            std::string::npos);
  QuantizeRequest two = folder_request("refused", "rtn", tied_, "native", "4");
  two.head_type = "6";
  EXPECT_EQ(testing::message_of([&] { testing::run(two); }),
            "--embedding 4, --head 6: the model has one matrix for both");
}

}  // namespace
}  // namespace halftone
