// Blocks of every type against what ggml makes of them, bit for bit.
#include "kernels/gguf_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "golden_tensors.h"
#include "kernels/gguf_codebooks.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::golden_tensors;
using testing::GoldenTensor;

std::vector<float> decoded(const GgufType& type, const std::vector<uint8_t>& bytes) {
  const auto blocks = static_cast<int64_t>(bytes.size()) / type.block_bytes;
  std::vector<float> weights(static_cast<size_t>(blocks * type.block_length));
  type.decode(blocks, bytes.data(), weights.data());
  return weights;
}

void expect_same_bits(const std::vector<float>& actual, const GoldenTensor& expected) {
  ASSERT_EQ(actual.size() * sizeof(float), expected.bytes.size());
  const std::vector<float> values = expected.floats();
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_EQ(std::memcmp(&actual[i], &values[i], sizeof(float)), 0)
        << "weight " << i << ": " << actual[i] << ", expected " << values[i];
}

// A block of `bytes` bytes, all but the named ones 0.
std::vector<uint8_t> block(size_t bytes, std::initializer_list<std::pair<size_t, int>> set) {
  std::vector<uint8_t> content(bytes);
  for (const auto& [at, value] : set) content[at] = static_cast<uint8_t>(value);
  return content;
}

TEST(GgufBlocks, DecodeToTheReferencesBits) {
  const auto golden = golden_tensors(testing::test_data("gguf/blocks.safetensors"));
  int types = 0;
  for (const GgufType& type : gguf_types()) {
    const std::string name(type.name);
    if (!golden.contains(name + ".blocks")) continue;
    SCOPED_TRACE(name);
    expect_same_bits(decoded(type, golden.at(name + ".blocks").bytes),
                     golden.at(name + ".dequant"));
    types += 1;
  }
  EXPECT_EQ(types, 27);
}

TEST(GgufBlocks, EveryTypeOfTheReferenceHasItsRow) {
  const auto golden = golden_tensors(testing::test_data("gguf/blocks.safetensors"));
  for (const auto& [name, tensor] : golden) {
    const std::string type = name.substr(0, name.find('.'));
    EXPECT_NE(find_gguf_type(std::string_view(type)), nullptr) << type;
  }
}

TEST(GgufBlocks, TheTableHasEachIdAndNameOnce) {
  std::set<uint32_t> ids;
  std::set<std::string_view> names;
  for (const GgufType& type : gguf_types()) {
    EXPECT_TRUE(ids.insert(type.id).second) << type.name;
    EXPECT_TRUE(names.insert(type.name).second) << type.name;
    EXPECT_EQ(find_gguf_type(type.id), &type);
    EXPECT_EQ(find_gguf_type(type.name), &type);
  }
  for (const uint32_t id : {4U, 5U, 9U, 15U, 31U, 36U, 43U, 0xffffffffU})  // given up, not stored
    EXPECT_EQ(find_gguf_type(id), nullptr) << id;
}

TEST(GgufBlocks, PlainNumbersAreThemselves) {
  const std::vector<double> doubles{0, -2.5, 1e6};
  std::vector<uint8_t> bytes(3 * sizeof(double));
  std::memcpy(bytes.data(), doubles.data(), bytes.size());
  EXPECT_EQ(decoded(*find_gguf_type("F64"), bytes), (std::vector<float>{0, -2.5F, 1e6F}));
  EXPECT_EQ(decoded(*find_gguf_type("I8"), {0x80, 0x7f}), (std::vector<float>{-128, 127}));
  EXPECT_EQ(decoded(*find_gguf_type("I16"), {0x00, 0x80, 1, 1}), (std::vector<float>{-32768, 257}));
  EXPECT_EQ(decoded(*find_gguf_type("I32"), {0xff, 0xff, 0xff, 0xff}), (std::vector<float>{-1}));
  EXPECT_EQ(decoded(*find_gguf_type("I64"), {0, 0, 0, 0, 1, 0, 0, 0}),
            (std::vector<float>{4294967296.0F}));
  EXPECT_EQ(decoded(*find_gguf_type("F32"), {0, 0, 0xc0, 0x3f}), (std::vector<float>{1.5F}));
}

// Against the definition: sign, exponent and mantissa taken apart.
TEST(GgufBlocks, EveryFloat16IsItsValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = decoded(*find_gguf_type("F16"), {static_cast<uint8_t>(bits & 255),
                                                         static_cast<uint8_t>(bits >> 8)})[0];
    const int exponent = static_cast<int>((bits >> 10) & 31),
              mantissa = static_cast<int>(bits & 1023);
    EXPECT_EQ(std::signbit(value), bits >> 15 != 0) << bits;
    if (exponent == 31) {
      EXPECT_EQ(mantissa == 0, std::isinf(value)) << bits;
      EXPECT_EQ(mantissa != 0, std::isnan(value)) << bits;
    } else {
      const double expected =
          exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      EXPECT_EQ(std::abs(static_cast<double>(value)), expected) << bits;
    }
  }
}

// Half of the sixteen-byte codes of Q4_0 lie in the high halves.
TEST(GgufBlocks, ABlockWorkedByHand) {
  // d = 0.5 (0x3800); byte 0: weight 0 has code 15, weight 16 code 0; all others code 0
  const auto weights = decoded(*find_gguf_type("Q4_0"), block(18, {{1, 0x38}, {2, 0x0f}}));
  EXPECT_EQ(weights[0], 3.5F);
  EXPECT_EQ(weights[1], -4.0F);
  EXPECT_EQ(weights[16], -4.0F);
  // d = -1 (0xbc00); weight 1 of Q2_0 has code 3
  EXPECT_EQ(decoded(*find_gguf_type("Q2_0"), block(18, {{1, 0xbc}, {2, 0x0c}}))[1], -2.0F);
}

// Seven signs are stored, the eighth makes the number of negative ones even.
TEST(GgufBlocks, TheEighthSignFollowsFromSeven) {
  // IQ2_XXS, d = 1, index 0 is (8, ..., 8), scale code 0: 0.125 * 8
  const auto one = decoded(*find_gguf_type("IQ2_XXS"), block(66, {{1, 0x3c}, {6, 0x01}}));
  EXPECT_EQ(one[0], -1.0F);
  EXPECT_EQ(one[7], -1.0F);
  const auto two = decoded(*find_gguf_type("IQ2_XXS"), block(66, {{1, 0x3c}, {6, 0x03}}));
  EXPECT_EQ(two[0], -1.0F);
  EXPECT_EQ(two[1], -1.0F);
  EXPECT_EQ(two[7], 1.0F);
}

TEST(GgufBlocks, AScaleThatIsNotFiniteIsSeenInTheWeights) {
  // the scale is where ggml has it; a NaN (0x7e00) there
  const std::map<std::string_view, size_t> places{
      {"Q4_0", 0},   {"Q8_0", 0},   {"Q2_K", 80}, {"Q3_K", 108}, {"Q6_K", 208},
      {"TQ1_0", 52}, {"TQ2_0", 64}, {"IQ2_S", 0}, {"IQ3_S", 0},  {"IQ4_XS", 0}};
  for (const auto& [name, place] : places) {
    const GgufType& type = *find_gguf_type(name);
    const auto bytes = static_cast<size_t>(type.block_bytes);
    for (const float weight : decoded(type, block(bytes, {{place + 1, 0x7e}})))
      EXPECT_TRUE(std::isnan(weight)) << name;
  }
}

template <size_t kLength, size_t kPoints>
void expect_distinct(const std::array<std::array<int8_t, kLength>, kPoints>& points) {
  EXPECT_EQ((std::set<std::array<int8_t, kLength>>(points.begin(), points.end()).size()), kPoints);
}

TEST(GgufBlocks, CodebooksHoldNoPointTwice) {
  expect_distinct(kIq2XxsGrid);
  expect_distinct(kIq2XsGrid);
  expect_distinct(kIq2SGrid);
  expect_distinct(kIq3XxsGrid);
  expect_distinct(kIq3SGrid);
  expect_distinct(kIq1Grid);
}

std::vector<uint8_t> encoded(const GgufType& type, const std::vector<float>& weights) {
  const auto blocks = static_cast<int64_t>(weights.size()) / type.block_length;
  std::vector<uint8_t> bytes(static_cast<size_t>(blocks * type.block_bytes));
  type.encode(blocks, weights.data(), bytes.data());
  return bytes;
}

TEST(GgufBlocks, TypesWithOneWayToRoundAreWrittenToTheReferencesBytes) {
  const auto golden = golden_tensors(testing::test_data("gguf/blocks.safetensors"));
  for (const char* name : {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}) {
    const auto source = golden.at(std::string(name) + ".src").floats();
    EXPECT_EQ(encoded(*find_gguf_type(std::string_view(name)), source),
              golden.at(std::string(name) + ".quant").bytes)
        << name;
  }
  EXPECT_EQ(find_gguf_type("Q4_K")->encode, nullptr);
}

TEST(GgufBlocks, EveryFloat16IsWrittenAsItself) {
  const GgufType& type = *find_gguf_type("F16");
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const std::vector<uint8_t> bytes{static_cast<uint8_t>(bits & 255),
                                     static_cast<uint8_t>(bits >> 8)};
    const auto value = decoded(type, bytes);
    if (!std::isnan(value[0])) {
      EXPECT_EQ(encoded(type, value), bytes) << bits;
    }
  }
}

TEST(GgufBlocks, Float16IsRoundedToNearestHalfToEven) {
  const GgufType& type = *find_gguf_type("F16");
  const auto bits = [&](float value) {
    const auto bytes = encoded(type, {value});
    return bytes[0] | bytes[1] << 8;
  };
  EXPECT_EQ(bits(1 + 0x1p-11F), 0x3c00);      // half way, down to even
  EXPECT_EQ(bits(1 + 3 * 0x1p-11F), 0x3c02);  // half way, up to even
  EXPECT_EQ(bits(1 + 0x1p-11F + 0x1p-20F), 0x3c01);
  EXPECT_EQ(bits(65519.99F), 0x7bff);
  EXPECT_EQ(bits(65520), 0x7c00);
  EXPECT_EQ(bits(0x1p-25F), 0);  // half of the least, to even
  EXPECT_EQ(bits(-0x1.8p-25F), 0x8001);
  EXPECT_EQ(bits(0x1.ff8p-15F), 0x03ff);  // the greatest subnormal
  EXPECT_EQ(bits(0x1.ffcp-15F), 0x0400);  // half way up from it, to even
  EXPECT_EQ(bits(0x1.fffp-15F), 0x0400);
  EXPECT_EQ(bits(std::numeric_limits<float>::quiet_NaN()) & 0x7fff, 0x7e00);
}

TEST(GoldenGgufBlocks, TypesWithOneWayToRoundAreWrittenToTheReferencesBytes) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/blocks/manifest.json");
  int types = 0;
  for (const GgufType& type : gguf_types()) {
    const auto path =
        testing::shared_data("golden/gguf/blocks/" + std::string(type.name) + ".safetensors");
    if (type.encode == nullptr || !std::filesystem::exists(path)) continue;
    const auto golden = golden_tensors(path);
    for (const char* writer : {"quant_c", "quant_gguf_py"})
      if (golden.contains(writer)) {
        EXPECT_EQ(encoded(type, golden.at("src").floats()), golden.at(writer).bytes)
            << type.name << " " << writer;
        types += 1;
      }
  }
  EXPECT_EQ(types, 12);
}

TEST(GoldenGgufBlocks, DecodeToTheReferencesBits) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/blocks/manifest.json");
  std::ifstream file(testing::shared_data("golden/gguf/blocks/manifest.json"));
  const auto types = nlohmann::json::parse(file).at("types");
  for (const auto& [name, entry] : types.items()) {
    SCOPED_TRACE(name);
    const GgufType* type = find_gguf_type(std::string_view(name));
    ASSERT_NE(type, nullptr);
    EXPECT_EQ(type->id, entry.at("id").get<uint32_t>());
    EXPECT_EQ(type->block_length, entry.at("block").get<int64_t>());
    EXPECT_EQ(type->block_bytes, entry.at("bytes").get<int64_t>());
    const auto golden =
        golden_tensors(testing::shared_data("golden/gguf/blocks/" + name + ".safetensors"));
    expect_same_bits(decoded(*type, golden.at("blocks").bytes), golden.at("dequant"));
  }
  EXPECT_EQ(types.size(), 27U);
}

}  // namespace
}  // namespace halftone
