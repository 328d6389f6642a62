// Experts that a folder stores a layer at a time, taken apart and put together.
#include "checkpoint/fused_experts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using ::halftone::testing::test_data;
using nlohmann::json;

using Tensors = std::map<std::string, at::Tensor>;

constexpr const char* kPrefix = "model.layers.0.mlp.experts.";

const StoredLayout& gpt_oss() {
  return stored_layout({{"architectures", {"GptOssForCausalLM"}}});
}

Checkpoint written(const TemporaryFolder& folder, const Tensors& tensors) {
  const json config = {{"architectures", {"GptOssForCausalLM"}},
                       {"quantization_config", {{"quant_method", "mxfp4"}}}};
  write_file_atomically(folder / "config.json", config.dump());
  Tensors named;
  for (const auto& [name, tensor] : tensors) named.emplace(kPrefix + name, tensor);
  write_safetensors(folder / "model.safetensors", named, {{"format", "pt"}});
  return Checkpoint(folder.path());
}

// Two experts of three rows and two columns: 100 for an expert, 10 for a row, 1 for a column; ups
// are negative.
at::Tensor gate_and_up() {
  at::Tensor fused = at::empty({2, 2, 6}, at::kFloat);
  for (int64_t expert = 0; expert < 2; ++expert)
    for (int64_t row = 0; row < 3; ++row)
      for (int64_t column = 0; column < 2; ++column) {
        const int64_t value = 100 * expert + 10 * row + column + 1;
        fused[expert][column][2 * row] = value;
        fused[expert][column][2 * row + 1] = -value;
      }
  return fused;
}

TEST(FusedExperts, RowsOfGateAndUpTakeTurns) {
  const TemporaryFolder folder;
  const Checkpoint checkpoint =
      written(folder, {{"gate_up_proj", gate_and_up()},
                       {"gate_up_proj_bias", at::arange(12, at::kFloat).view({2, 6})}});
  const std::string second = std::string(kPrefix) + "1.";
  const at::Tensor gate = at::tensor({101, 102, 111, 112, 121, 122}, at::kFloat).view({3, 2});
  EXPECT_TRUE(at::equal(checkpoint.load(second + "gate_proj.weight"), gate));
  EXPECT_TRUE(at::equal(checkpoint.load(second + "up_proj.weight"), gate.neg()));
  EXPECT_TRUE(at::equal(checkpoint.load(second + "gate_proj.bias"), at::tensor({6.F, 8.F, 10.F})));
  EXPECT_TRUE(at::equal(checkpoint.load(second + "up_proj.bias"), at::tensor({7.F, 9.F, 11.F})));
  EXPECT_EQ(checkpoint.info(second + "up_proj.weight").shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(checkpoint.stored_info(second + "up_proj.weight").bytes, 24u);
  EXPECT_EQ(checkpoint.stored_data(second + "up_proj.weight").size(), 48u);
  EXPECT_EQ(checkpoint.names().size(), 8u);
  EXPECT_FALSE(checkpoint.contains(std::string(kPrefix) + "gate_up_proj"));
}

TEST(FusedExperts, AByteOfMxfp4HoldsItsFirstNumberInTheLowerHalf) {
  at::Tensor blocks = at::zeros({1, 1, 16}, at::kByte);
  blocks[0][0][0] = 0x72;                                                              // 1, 6
  blocks[0][0][1] = 0x9d;                                                              // -3, -0.5
  blocks[0][0][15] = 0x10;                                                             // 0, 0.5
  const at::Tensor numbers = mxfp4_numbers(blocks, at::full({1, 1}, 129, at::kByte));  // times 4
  at::Tensor expected = at::zeros({1, 32}, at::kBFloat16);
  expected[0][0] = 4;
  expected[0][1] = 24;
  expected[0][2] = -12;
  expected[0][3] = -2;
  expected[0][31] = 2;
  EXPECT_TRUE(at::equal(numbers, expected));
}

TEST(FusedExperts, Mxfp4IsHandedOutAsThePlainFolderIs) {
  const Checkpoint plain(test_data("forward/mixtures/gpt_oss")),
      packed(test_data("forward/mixtures/gpt_oss_mxfp4"));
  EXPECT_EQ(packed.names(), plain.names());
  EXPECT_FALSE(packed.config().contains("quantization_config"));
  for (const std::string& name : plain.names()) {
    EXPECT_TRUE(at::equal(packed.load(name), plain.load(name))) << name;
    EXPECT_EQ(packed.info(name).shape, plain.info(name).shape) << name;
    EXPECT_EQ(packed.info(name).dtype, at::kBFloat16) << name;
  }
  const StoredInfo stored = packed.stored_info("model.layers.1.mlp.experts.2.down_proj.weight");
  EXPECT_EQ(stored.dtype, "MXFP4");
  EXPECT_EQ(stored.bytes, 64u * 17);  // rows of one block
}

TEST(FusedExperts, OtherArchitecturesKeepTheirTensors) {
  EXPECT_FALSE(fused_name(stored_layout({{"architectures", {"MixtralForCausalLM"}}}),
                          "model.layers.0.mlp.experts.gate_up_proj"));
  EXPECT_FALSE(fused_name(gpt_oss(), "model.layers.0.mlp.experts.0.gate_proj.weight"));
  EXPECT_FALSE(fused_name(gpt_oss(), "model.layers.0.mlp.experts.gate_up_proj_other"));
}

TEST(FusedExperts, WhatDoesNotFitIsNamed) {
  const auto refusal = [](const Tensors& tensors) {
    const TemporaryFolder folder;
    return message_of([&] { (void)written(folder, tensors); });
  };
  const auto bytes = [](at::IntArrayRef shape) { return at::zeros(shape, at::kByte); };
  const std::string shape = "no shape of 2 linears of experts";
  EXPECT_NE(refusal({{"gate_up_proj", at::zeros({2, 6})}}).find(shape), std::string::npos);
  EXPECT_NE(refusal({{"gate_up_proj", at::zeros({2, 2, 5})}}).find(shape), std::string::npos);
  EXPECT_NE(refusal({{"gate_up_proj", at::zeros({0, 2, 6})}}).find(shape), std::string::npos);
  EXPECT_NE(refusal({{"gate_up_proj_bias", at::zeros({2, 3})}}).find(shape), std::string::npos);
  EXPECT_NE(refusal({{"down_proj_blocks", bytes({2, 3, 1, 16})}}).find("scales are missing"),
            std::string::npos);
  EXPECT_NE(
      refusal({{"down_proj_blocks", bytes({2, 3, 1, 16})}, {"down_proj_scales", bytes({2, 3, 2})}})
          .find("a scale for each block"),
      std::string::npos);
  EXPECT_NE(
      refusal({{"down_proj_blocks", bytes({2, 3, 1, 8})}, {"down_proj_scales", bytes({2, 3, 1})}})
          .find("no shape of 1 linears"),
      std::string::npos);
  EXPECT_NE(refusal({{"down_proj", at::zeros({2, 2, 3})}, {"down_proj_scales", bytes({2, 3, 1})}})
                .find("scales without blocks"),
            std::string::npos);
  EXPECT_NE(
      refusal({{"down_proj", at::zeros({2, 2, 3})}, {"0.down_proj.weight", at::zeros({3, 2})}})
          .find("are one of the model's"),
      std::string::npos);
}

TEST(ExpertJoiner, PutsTogetherWhatWasTakenApart) {
  const Checkpoint source(test_data("forward/mixtures/gpt_oss"));
  const SafetensorsFile stored(test_data("forward/mixtures/gpt_oss/model.safetensors"));
  ExpertJoiner joiner(gpt_oss(), source.names());
  size_t wholes = 0;
  for (const std::string& name : source.names()) {
    if (!joiner.takes(name)) {
      EXPECT_EQ(name.find(".experts."), std::string::npos);
      continue;
    }
    if (const auto whole = joiner.add(name, source.load(name))) {
      ++wholes;
      EXPECT_TRUE(at::equal(whole->second, stored.view(*stored.find(whole->first))))
          << whole->first;
    }
  }
  EXPECT_EQ(wholes, 8u);  // two weights and two biases a layer
  joiner.require_whole();
}

TEST(ExpertJoiner, SaysWhatLacksParts) {
  const Checkpoint source(test_data("forward/mixtures/gpt_oss"));
  ExpertJoiner joiner(gpt_oss(), source.names());
  const std::string name = std::string(kPrefix) + "3.down_proj.bias";
  EXPECT_FALSE(joiner.add(name, source.load(name)));
  EXPECT_NE(message_of([&] { joiner.require_whole(); }).find("down_proj_bias: 3 of its parts"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              (void)joiner.add(name, source.load(name).to(at::kFloat));
            }).find("not of the type"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
