// What GPT-2's folders store otherwise than all others: matrices as (in, out), names without a
// prefix.
#include "checkpoint/stored_layout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

using Tensors = std::map<std::string, at::Tensor>;

Tensors gpt2_tensors(const std::string& prefix) {
  return {{prefix + "h.0.attn.c_attn.weight", at::arange(12, at::kFloat).view({2, 6})},
          {prefix + "h.0.attn.c_attn.bias", at::ones({6})},
          {prefix + "wte.weight", at::ones({5, 2})},
          {"lm_head.weight", at::ones({5, 2})}};
}

Checkpoint written(const TemporaryFolder& folder, const Tensors& tensors,
                   const char* architecture = "GPT2LMHeadModel") {
  const json config = {{"architectures", {architecture}}};
  write_file_atomically(folder / "config.json", config.dump());
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  return Checkpoint(folder.path());
}

TEST(StoredLayout, MatricesOfGpt2AreHandedOutAsAllOthers) {
  for (const char* prefix : {"", "transformer."}) {
    const TemporaryFolder folder;
    const Checkpoint checkpoint = written(folder, gpt2_tensors(prefix));
    const std::string name = "transformer.h.0.attn.c_attn.weight";
    const at::Tensor weight = checkpoint.load(name);
    EXPECT_TRUE(at::equal(weight, at::arange(12, at::kFloat).view({2, 6}).t()));
    EXPECT_TRUE(weight.is_contiguous());
    EXPECT_EQ(checkpoint.info(name).shape, (std::vector<int64_t>{6, 2}));
    EXPECT_EQ(checkpoint.stored_info(name).shape, (std::vector<int64_t>{6, 2}));
    EXPECT_EQ(checkpoint.stored(name).shape, (std::vector<int64_t>{2, 6}));
    EXPECT_EQ(checkpoint.info("transformer.wte.weight").shape, (std::vector<int64_t>{5, 2}));
    EXPECT_EQ(
        checkpoint.names(),
        (std::vector<std::string>{"lm_head.weight", "transformer.h.0.attn.c_attn.bias",
                                  "transformer.h.0.attn.c_attn.weight", "transformer.wte.weight"}));
  }
}

TEST(StoredLayout, OtherArchitecturesKeepTheirNamesAndShapes) {
  const TemporaryFolder folder;
  const Checkpoint checkpoint = written(folder, gpt2_tensors(""), "LlamaForCausalLM");
  EXPECT_EQ(checkpoint.info("h.0.attn.c_attn.weight").shape, (std::vector<int64_t>{2, 6}));
  EXPECT_FALSE(checkpoint.contains("transformer.wte.weight"));
  for (const json& config :
       {json::object(), json{{"architectures", "GPT2LMHeadModel"}}, json{{"architectures", {1}}}})
    EXPECT_EQ(full_name(stored_layout(config), "wte.weight"), "wte.weight");
}

TEST(StoredLayout, OneTensorUnderBothItsNamesIsRefused) {
  const TemporaryFolder folder;
  Tensors tensors = gpt2_tensors("");
  tensors["transformer.wte.weight"] = at::zeros({5, 2});
  const std::string message = message_of([&] { written(folder, tensors); });
  EXPECT_NE(message.find("\"transformer.wte.weight\" and \"wte.weight\""), std::string::npos)
      << message;
}

TEST(StoredLayout, TurningTwiceChangesNothing) {
  const StoredLayout& layout = stored_layout({{"architectures", {"GPT2LMHeadModel"}}});
  const at::Tensor matrix = at::randn({3, 4});
  const auto turned = [&](const char* name, const at::Tensor& x) {
    return turned_if_needed(layout, name, x);
  };
  const char* name = "transformer.h.1.mlp.c_fc.weight";
  EXPECT_TRUE(at::equal(turned(name, matrix), matrix.t()));
  EXPECT_TRUE(at::equal(turned(name, turned(name, matrix)), matrix));
  EXPECT_TRUE(at::equal(turned("transformer.wpe.weight", matrix), matrix));
  EXPECT_TRUE(at::equal(turned("transformer.h.1.mlp.c_fc.weight_packed", matrix), matrix));
}

}  // namespace
}  // namespace halftone
