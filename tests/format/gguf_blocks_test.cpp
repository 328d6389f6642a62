// Grids of ours in the blocks of a GGUF file, read back by the table of types (whose decoding is
// held to ggml's in tests/kernels).
#include "format/gguf_blocks.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "format/support.h"

namespace halftone {
namespace {

using testing::LinearCase;
using testing::make_linear;
using testing::make_plan;
using testing::message_of;

struct TypeCase {
  const char* type;
  LinearCase grid;
};

const std::vector<TypeCase>& cases() {
  static const std::vector<TypeCase> list = {
      {"Q2_0", {.out = 5, .in = 256, .bits = 2, .group_size = 64, .scale_bits = 11}},
      {"Q2_0", {.out = 5, .in = 320, .bits = 2, .group_size = 128, .scale_bits = 8}},
      {"Q4_0", {.out = 5, .in = 96, .bits = 4, .group_size = 32, .scale_bits = 11}},
      {"Q4_0", {.out = 5, .in = 352, .bits = 4, .group_size = 0, .scale_bits = 8}},
      {"Q4_1",
       {.out = 5, .in = 96, .bits = 4, .group_size = 32, .symmetric = false, .scale_bits = 7}},
      {"Q5_0", {.out = 5, .in = 96, .bits = 5, .group_size = 64, .scale_bits = 11}},
      {"Q5_1",
       {.out = 5, .in = 96, .bits = 5, .group_size = 32, .symmetric = false, .scale_bits = 6}},
      {"Q8_0", {.out = 5, .in = 96, .bits = 8, .group_size = 32, .scale_bits = 11}}};
  return list;
}

at::Tensor decoded(const QuantizedLinear& linear, const GgufType& type) {
  const at::Tensor weights = at::empty({linear.out(), linear.in()}, at::kFloat);
  for (int64_t row = 0; row < linear.out(); ++row) {
    const std::vector<std::byte> bytes = gguf_row(linear, type, row);
    type.decode(linear.in() / type.block_length, reinterpret_cast<const uint8_t*>(bytes.data()),
                weights[row].data_ptr<float>());
  }
  return weights;
}

// Whose weights are multiplied by the number of its tensor.
TEST(GgufGridBlocks, OfNvfp4HoldWeightsOverTheScaleOfTheirTensor) {
  const QuantizedLinear linear = testing::make_super_blocks(4, 3, 512, Levels::kNvfp4);
  check_linear(linear);
  const LinearPlan plan = plan_of("a", linear);
  EXPECT_EQ(gguf_grid_refusal(plan), "");
  const GgufType* type = gguf_type_of(plan);
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->name, "NVFP4");
  EXPECT_TRUE(at::equal(decoded(linear, *type) * kNvfp4TensorScale, dequantize(linear)));
  EXPECT_DOUBLE_EQ(bits_per_weight(linear), type->bits_per_weight());
  LinearPlan narrow = plan;
  narrow.in = 48;
  EXPECT_NE(gguf_grid_refusal(narrow).find("blocks of NVFP4 need a multiple of 64"),
            std::string::npos);
}

TEST(GgufGridBlocks, HoldEveryWeightOfAGridExactly) {
  for (const auto& [name, options] : cases()) {
    const GgufType* type = gguf_type_of(make_plan("a", options));
    ASSERT_NE(type, nullptr) << name;
    EXPECT_EQ(type->name, name);
    EXPECT_EQ(gguf_grid_refusal(make_plan("a", options)), "") << name;
    const QuantizedLinear linear = make_linear(options);
    EXPECT_TRUE(at::equal(decoded(linear, *type), dequantize(linear))) << name;
  }
}

TEST(GgufGridBlocks, GiveBackTheBitsThatAreToldBeforehand) {
  for (const auto& [name, options] : cases()) {
    const GgufType& type = *gguf_type_of(make_plan("a", options));
    const QuantizedLinear linear = make_linear(options);
    EXPECT_EQ(weight_fingerprint(as_decoded(dequantize(linear), type)),
              weight_fingerprint(decoded(linear, type)))
        << name;
  }
}

TEST(GgufGridBlocks, HoldScalesOfEitherSign) {
  for (const auto& [name, options] : cases()) {
    if (!options.symmetric) continue;
    const GgufType& type = *gguf_type_of(make_plan("a", options));
    QuantizedLinear linear = make_linear(options);
    linear.scales.select(0, 1).neg_();
    const at::Tensor weights = dequantize(linear);
    EXPECT_TRUE(at::equal(decoded(linear, type), weights)) << name;
    EXPECT_EQ(weight_fingerprint(as_decoded(weights, type)),
              weight_fingerprint(decoded(linear, type)))
        << name;
  }
}

TEST(GgufGridBlocks, HoldSuperBlocksExactly) {
  struct Case {
    const char* name;
    int bits;
    Levels levels = Levels::kEven;
  };
  for (const auto& [name, bits, levels] : {Case{"Q2_K", 2},
                                           {"Q3_K", 3},
                                           {"Q4_K", 4},
                                           {"Q5_K", 5},
                                           {"Q6_K", 6},
                                           {"IQ4_XS", 4, Levels::kIq4Xs},
                                           {"IQ4_NL", 4, Levels::kIq4Nl},
                                           {"TQ1_0", 2, Levels::kTq1},
                                           {"TQ2_0", 2, Levels::kTq2},
                                           {"Q1_0", 1, Levels::kQ1},
                                           {"MXFP4", 4, Levels::kMxfp4}}) {
    const QuantizedLinear linear = testing::make_super_blocks(bits, 3, 512, levels);
    check_linear(linear);
    const LinearPlan plan = plan_of("a", linear);
    EXPECT_EQ(gguf_grid_refusal(plan), "");
    const GgufType* type = gguf_type_of(plan);
    ASSERT_NE(type, nullptr);
    EXPECT_EQ(type->name, name);
    const at::Tensor weights = dequantize(linear);
    EXPECT_EQ(weight_fingerprint(as_decoded(weights, *type)),
              weight_fingerprint(decoded(linear, *type)))
        << name;
    EXPECT_DOUBLE_EQ(bits_per_weight(linear), type->bits_per_weight()) << name;
  }
}

TEST(GgufGridBlocks, HoldVectorsExactly) {
  for (const Codebook codebook : kCodebooks) {
    const QuantizedLinear linear = testing::make_vectors(codebook, 3, 512);
    check_linear(linear);
    const LinearPlan plan = plan_of("a", linear);
    EXPECT_EQ(gguf_grid_refusal(plan), "");
    const GgufType* type = gguf_type_of(plan);
    ASSERT_NE(type, nullptr);
    EXPECT_EQ(type->name, codebook_shape(codebook).type);
    EXPECT_EQ(weight_fingerprint(dequantize(linear)), weight_fingerprint(decoded(linear, *type)))
        << type->name;
    EXPECT_DOUBLE_EQ(bits_per_weight(linear), type->bits_per_weight()) << type->name;
  }
}

TEST(GgufGridBlocks, AreRefusedWhereTheGridDoesNotFit) {
  const auto refusal = [](LinearCase options) {
    return gguf_grid_refusal(make_plan("a", options));
  };
  EXPECT_NE(refusal({.bits = 3}).find("3 bits symmetric; GGUF blocks hold"), std::string::npos);
  EXPECT_NE(refusal({.bits = 2, .group_size = 32}).find("groups of 32 columns"), std::string::npos);
  EXPECT_NE(refusal({.in = 172, .group_size = 0}).find("172 input columns"), std::string::npos);
  EXPECT_NE(refusal({.in = 96, .bits = 2, .group_size = 0}).find("multiple of 64"),
            std::string::npos);
  EXPECT_NE(refusal({.symmetric = false, .scale_bits = 8}).find("grid.scale_bits = 7"),
            std::string::npos);
  EXPECT_NE(refusal({.scale_bits = 0}).find("24 significant bits"), std::string::npos);
  EXPECT_NE(refusal({.dynamic_groups = true}), "");
  EXPECT_NE(refusal({.outliers = true}), "");
}

TEST(GgufGridBlocks, AScaleBeyondFloat16IsRefused) {
  QuantizedLinear linear = make_linear({.out = 1, .in = 32, .bits = 4});
  linear.scales.fill_(70000.0);
  EXPECT_NE(
      message_of([&] { gguf_row(linear, *find_gguf_type("Q4_0"), 0); }).find("beyond float16"),
      std::string::npos);
}

}  // namespace
}  // namespace halftone
