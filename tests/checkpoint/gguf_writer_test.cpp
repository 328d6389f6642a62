// GGUF files as they are written: byte for byte as the layout says, and read back.
#include "checkpoint/gguf_writer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/gguf_bytes.h"
#include "checkpoint/gguf_file.h"
#include "checkpoint/hostile_files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::GgufBytes;
using testing::TemporaryFolder;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

const std::string kCodes(36, '\7'), kNumbers = testing::floats({1, 2, 3});

GgufPlan small_plan() {
  const std::vector<std::string> texts{"<s>", ""};
  const std::vector<uint32_t> wholes{3, 1};
  GgufPlan plan;
  plan.metadata = {{"general.architecture", gguf_value("llama")},
                   {"a.u32", gguf_value(uint32_t{7})},
                   {"a.i32", gguf_value(int32_t{-7})},
                   {"a.f32", gguf_value(0.5F)},
                   {"a.bool", gguf_value(true)},
                   {"a.texts", gguf_value(std::span(texts))},
                   {"a.wholes", gguf_value(std::span<const uint32_t>(wholes))}};
  plan.tensors = {{"matrix", {2, 32}, find_gguf_type("Q4_0")},
                  {"list", {3}, find_gguf_type("F32")}};
  return plan;
}

class GgufWriterTest : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "m.gguf"; }
  static void write_all(GgufWriter& writer) {
    writer.write("matrix", bytes_of(kCodes));
    writer.write("list", bytes_of(kNumbers));
  }

  TemporaryFolder folder_;
};

TEST_F(GgufWriterTest, BytesAreThoseOfTheLayout) {
  GgufWriter writer(path(), small_plan());
  write_all(writer);
  writer.finish();
  GgufBytes expected;
  expected.with("general.architecture", testing::text("llama"))
      .with("a.u32", testing::u32(7))
      .with("a.i32", testing::i32(-7))
      .with("a.f32", testing::f32(0.5F))
      .with("a.bool", testing::boolean(true))
      .with("a.texts", testing::texts({"<s>", ""}))
      .with("a.wholes", testing::u32s({3, 1}));
  expected.add("matrix", {32, 2}, kCodes, 2).add("list", {3}, kNumbers);
  EXPECT_EQ(read_file(path()), expected.str());
}

TEST_F(GgufWriterTest, EveryKindOfValueIsReadBack) {
  const std::vector<float> floats{1.5F, -2};
  const std::vector<int32_t> wholes{-1, 5};
  GgufPlan plan;
  plan.metadata = {{"u8", gguf_value(uint8_t{200})},
                   {"i8", gguf_value(int8_t{-3})},
                   {"u16", gguf_value(uint16_t{65535})},
                   {"i16", gguf_value(int16_t{-300})},
                   {"u64", gguf_value(uint64_t{1} << 40)},
                   {"i64", gguf_value(-(int64_t{1} << 40))},
                   {"f64", gguf_value(1e300)},
                   {"floats", gguf_value(std::span<const float>(floats))},
                   {"wholes", gguf_value(std::span<const int32_t>(wholes))}};
  GgufWriter(path(), plan).finish();
  const GgufFile file(path());
  const GgufMetadata& metadata = file.metadata();
  EXPECT_EQ(metadata.whole("u8"), 200);
  EXPECT_EQ(metadata.whole("i8"), -3);
  EXPECT_EQ(metadata.whole("u16"), 65535);
  EXPECT_EQ(metadata.whole("i16"), -300);
  EXPECT_EQ(metadata.whole("u64"), int64_t{1} << 40);
  EXPECT_EQ(metadata.whole("i64"), -(int64_t{1} << 40));
  EXPECT_EQ(metadata.number("f64"), 1e300);
  EXPECT_EQ(metadata.numbers("floats"), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(metadata.wholes("wholes"), (std::vector<int64_t>{-1, 5}));
}

TEST_F(GgufWriterTest, PiecesAreOneTensor) {
  GgufWriter writer(path(), small_plan());
  for (const char code : kCodes) writer.write("matrix", bytes_of(std::string(1, code)));
  writer.write("list", bytes_of(kNumbers));
  writer.finish();
  GgufWriter other(folder_ / "n.gguf", small_plan());
  write_all(other);
  other.finish();
  EXPECT_EQ(read_file(path()), read_file(folder_ / "n.gguf"));
}

TEST_F(GgufWriterTest, PartsAreCutBySizeAndReadTogether) {
  GgufPlan plan = small_plan();
  plan.part_bytes = 64;  // the matrix alone
  GgufWriter writer(path(), plan);
  write_all(writer);
  writer.finish();
  ASSERT_EQ(writer.files().size(), 2U);
  EXPECT_EQ(writer.files()[0], folder_ / "m-00001-of-00002.gguf");
  const auto parts = open_gguf_parts(writer.files()[0]);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0]->metadata().whole("a.u32"), 7);
  EXPECT_FALSE(parts[1]->metadata().contains("a.u32"));
  const auto list = parts[1]->bytes(*parts[1]->find("list"));
  EXPECT_EQ(std::memcmp(list.data(), kNumbers.data(), kNumbers.size()), 0);
  plan.part_bytes = 1;  // one tensor a part
  EXPECT_EQ(plan.parts(), (std::vector<size_t>{0, 1}));
  plan.part_bytes = 96;
  EXPECT_EQ(plan.parts(), (std::vector<size_t>{0}));
}

TEST_F(GgufWriterTest, TensorsWithoutNumbersTakeNoBytes) {
  GgufPlan plan = small_plan();
  plan.tensors.insert(plan.tensors.begin(), {"none", {0, 4}, find_gguf_type("F32")});
  plan.tensors.push_back({"last", {0}, find_gguf_type("F32")});
  GgufWriter writer(path(), plan);
  write_all(writer);
  writer.finish();
  EXPECT_EQ(GgufFile(path()).find("last")->shape, (std::vector<int64_t>{0}));
}

TEST_F(GgufWriterTest, WhatThePlanDoesNotSayIsRefused) {
  GgufWriter writer(path(), small_plan());
  EXPECT_CONTAINS(error_of([&] { writer.write("list", bytes_of(kNumbers)); }),
                  "expected tensor \"matrix\", found \"list\"");
  EXPECT_CONTAINS(error_of([&] { writer.write("matrix", bytes_of(kCodes + "x")); }),
                  "expected 36 bytes more, found 37");
  EXPECT_CONTAINS(error_of([&] { writer.finish(); }), "tensor \"matrix\": expected 36 bytes");
  write_all(writer);
  EXPECT_CONTAINS(error_of([&] { writer.write("list", bytes_of(kNumbers)); }), "expected tensor");
}

TEST_F(GgufWriterTest, AFileThatWasNotFinishedIsNotLeft) {
  GgufPlan plan = small_plan();
  plan.part_bytes = 1;
  {
    GgufWriter writer(path(), plan);
    writer.write("matrix", bytes_of(kCodes));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(GgufWriterTest, PlansThatNoFileCanHoldAreRefused) {
  const auto refusal = [&](const GgufPlan& plan) {
    return error_of([&] { GgufWriter writer(path(), plan); });
  };
  GgufPlan twice = small_plan();
  twice.tensors[1].name = "matrix";
  EXPECT_CONTAINS(refusal(twice), "m.gguf: tensor \"matrix\": expected once, found twice");
  GgufPlan wide = small_plan();
  wide.tensors[0].shape = {2, 48};
  EXPECT_CONTAINS(refusal(wide), "expected rows of a multiple of 32 for Q4_0, found 48");
  GgufPlan longer = small_plan();
  longer.tensors[0].name = std::string(64, 'a');
  EXPECT_CONTAINS(refusal(longer), "1 to 63 bytes");
  GgufPlan keys = small_plan();
  keys.metadata.push_back(keys.metadata[0]);
  EXPECT_CONTAINS(refusal(keys), "metadata \"general.architecture\": expected once");
}

}  // namespace
}  // namespace halftone
