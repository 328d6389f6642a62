#include "format/bit_stream.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "format/packed_rows.h"
#include "format/support.h"

namespace halftone {
namespace {

using testing::random_codes;
using Bytes = std::vector<uint8_t>;

Bytes packed(const Bytes& codes, int bits) {
  Bytes stream(static_cast<size_t>(stream_bytes(static_cast<int64_t>(codes.size()), bits)));
  pack_stream(codes.data(), static_cast<int64_t>(codes.size()), bits, stream.data());
  return stream;
}

TEST(BitStream, ThreeBitCodesRunAcrossBytesLeastSignificantFirst) {
  // 1 2 3 4 5 6 7 0: 001 010 011 100 101 110 111 000 from the low end
  // bits: 100 010 110 001 101 011 111 000 -> 10001011 00011010 11111000 read from bit 0
  EXPECT_EQ(packed({1, 2, 3, 4, 5, 6, 7, 0}, 3), (Bytes{0xD1, 0x58, 0x1F}));
}

TEST(BitStream, WidthsThatDivideAByteFillItFromTheLowEnd) {
  EXPECT_EQ(packed({1, 0, 1, 1}, 1), (Bytes{0x0D}));
  EXPECT_EQ(packed({1, 2, 3, 0, 2}, 2), (Bytes{0x39, 0x02}));
  EXPECT_EQ(packed({0x1, 0xF, 0xA}, 4), (Bytes{0xF1, 0x0A}));
  EXPECT_EQ(packed({0x12, 0xFF}, 8), (Bytes{0x12, 0xFF}));
}

TEST(BitStream, FiveSixAndSevenBitsRunAcrossBytes) {
  EXPECT_EQ(packed({0x1F, 0x00, 0x15}, 5), (Bytes{0x1F, 0x54}));  // 21 << 10 | 31
  EXPECT_EQ(packed({0x3F, 0x01}, 6), (Bytes{0x7F, 0x00}));        // 1 << 6 | 63
  EXPECT_EQ(packed({0x7F, 0x01}, 7), (Bytes{0xFF, 0x00}));        // 1 << 7 | 127
}

TEST(BitStream, ThirtyTwoThreeBitFoursAreTheKnownTripleOfWords) {
  const at::Tensor words = pack_rows(at::full({1, 32}, 3, at::kByte), 3);
  const auto* word = reinterpret_cast<const uint32_t*>(words.const_data_ptr<int32_t>());
  EXPECT_EQ((std::vector<uint32_t>{word[0], word[1], word[2]}),
            (std::vector<uint32_t>{0xDB6DB6DB, 0xB6DB6DB6, 0x6DB6DB6D}));
}

TEST(BitStream, EveryWidthAndLengthComesBackAndTouchesNoByteBeyond) {
  for (int bits = 1; bits <= 8; ++bits)
    for (int64_t count = 0; count <= 70; ++count) {
      Random random(static_cast<uint64_t>(100 * bits + count));
      const at::Tensor codes = random_codes(random, 1, count, 0, (1 << bits) - 1);
      const int64_t size = stream_bytes(count, bits);
      Bytes stream(static_cast<size_t>(size) + 1, 0xEE), back(static_cast<size_t>(count) + 1, 0xEE);
      pack_stream(codes.const_data_ptr<uint8_t>(), count, bits, stream.data());
      unpack_stream(stream.data(), count, bits, back.data());
      EXPECT_EQ(stream.back(), 0xEE);
      EXPECT_EQ(back.back(), 0xEE);
      EXPECT_TRUE(std::equal(back.begin(), back.end() - 1, codes.const_data_ptr<uint8_t>()))
          << bits << " bits, " << count << " codes";
    }
}

TEST(BitStream, SlowReferenceAgreesBitByBit) {
  Random random(7);
  for (int bits = 1; bits <= 8; ++bits) {
    const at::Tensor codes = random_codes(random, 1, 45, 0, (1 << bits) - 1);
    const auto* code = codes.const_data_ptr<uint8_t>();
    const Bytes stream = packed(Bytes(code, code + 45), bits);
    for (int i = 0; i < 45 * bits; ++i)
      EXPECT_EQ(stream[size_t(i / 8)] >> (i % 8) & 1, code[i / bits] >> (i % bits) & 1);
  }
}

class Packing : public ::testing::TestWithParam<int> {};

// The same codes by compressed-tensors 0.13 (padded) and 0.20 (dense), along both dimensions.
TEST_P(Packing, WordsOfBothLibraryVersionsAreOurs) {
  const std::string bits = std::to_string(GetParam());
  const auto folder = testing::test_data("format/compressed_tensors/packing");
  const SafetensorsFile dense(folder / "new.safetensors"), padded(folder / "old.safetensors");
  const auto tensor = [](const SafetensorsFile& file, const std::string& name) {
    return file.view(*file.find(name));
  };
  const at::Tensor codes =
      (tensor(dense, "codes_b" + bits).to(at::kInt) + (1 << (GetParam() - 1))).to(at::kByte);
  const at::Tensor along_rows = tensor(dense, "packed_b" + bits + "_dim1");
  EXPECT_TRUE(at::equal(pack_rows(codes, GetParam()), along_rows));
  EXPECT_TRUE(at::equal(unpack_rows(along_rows, 70, GetParam()), codes));
  const at::Tensor down_columns = tensor(dense, "packed_b" + bits + "_dim0");
  EXPECT_TRUE(at::equal(pack_rows(codes.t(), GetParam()).t(), down_columns));
  const at::Tensor old_rows = tensor(padded, "packed_b" + bits + "_dim1");
  EXPECT_EQ(old_rows.size(1), padded_words(70, GetParam()));
  EXPECT_TRUE(at::equal(unpack_padded_rows(old_rows, 70, GetParam()), codes));
  const at::Tensor old_columns = tensor(padded, "packed_b" + bits + "_dim0");
  EXPECT_TRUE(at::equal(unpack_padded_rows(old_columns.t(), 6, GetParam()).t(), codes));
}

INSTANTIATE_TEST_SUITE_P(Bits, Packing, ::testing::Range(2, 9));

TEST(PackedRows, OneStreamOverAMatrixIgnoresItsRows) {
  const at::Tensor codes = at::arange(6, at::kByte).reshape({2, 3});
  EXPECT_TRUE(at::equal(pack_bytes(codes, 3), at::tensor({0x88, 0xC6, 0x02}, at::kByte)));
}

}  // namespace
}  // namespace halftone
