// GGUF files: what is read of honest ones, and how others are refused.
#include "checkpoint/gguf_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_bytes.h"
#include "checkpoint/hostile_files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::GgufBytes;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::write_bytes;

// One value of each kind, a tensor of blocks and one of numbers.
GgufBytes small_file() {
  GgufBytes file;
  file.with("general.architecture", testing::text("llama"))
      .with("a.u32", testing::u32(7))
      .with("a.i32", testing::i32(-7))
      .with("a.f32", testing::f32(1e-5F))
      .with("a.bool", testing::boolean(true))
      .with("a.texts", testing::texts({"<s>", "", "\xe2\x96\x81 a"}))
      .with("a.wholes", testing::u32s({3, 1, 2}));
  file.add("matrix", {32, 2}, std::string(36, '\0'), 2)
      .add("list", {3}, testing::floats({1, 2, 3}));
  return file;
}

class GgufFileTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& bytes, const std::string& name = "x.gguf") const {
    write_bytes(folder_ / name, bytes);
    return folder_ / name;
  }
  std::string refusal(const std::string& bytes) const {
    const auto path = file(bytes);
    std::string message = error_of([&] { GgufFile opened(path); });
    EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
    return message;
  }

  TemporaryFolder folder_;
};

TEST_F(GgufFileTest, ValuesAndTensorsAreRead) {
  const GgufFile opened(file(small_file().str()));
  const GgufMetadata& metadata = opened.metadata();
  EXPECT_EQ(metadata.keys().size(), 7U);
  EXPECT_EQ(metadata.text("general.architecture"), "llama");
  EXPECT_EQ(metadata.whole("a.u32"), 7);
  EXPECT_EQ(metadata.whole("a.i32"), -7);
  EXPECT_EQ(metadata.number("a.i32"), -7.0);
  EXPECT_EQ(metadata.flag("a.bool"), true);
  EXPECT_EQ(metadata.texts("a.texts"),
            (std::vector<std::string_view>{"<s>", "", "\xe2\x96\x81 a"}));
  EXPECT_EQ(metadata.wholes("a.wholes"), (std::vector<int64_t>{3, 1, 2}));
  EXPECT_EQ(metadata.wholes("a.u32"), (std::vector<int64_t>{7}));
  EXPECT_EQ(metadata.whole("a.none"), std::nullopt);

  ASSERT_EQ(opened.tensors().size(), 2U);
  const GgufTensor& matrix = *opened.find("matrix");
  EXPECT_EQ(matrix.shape, (std::vector<int64_t>{2, 32}));
  EXPECT_EQ(matrix.type->name, "Q4_0");
  EXPECT_EQ(opened.bytes(matrix).size(), 36U);
  const auto list = opened.bytes(*opened.find("list"));
  EXPECT_EQ(std::memcmp(list.data(), testing::floats({1, 2, 3}).data(), 12), 0);
  EXPECT_EQ(opened.find("other"), nullptr);
}

TEST_F(GgufFileTest, AFloatIsItsShortestDecimal) {
  const GgufFile opened(file(small_file().str()));
  EXPECT_EQ(opened.metadata().number("a.f32"), 1e-5);
}

TEST_F(GgufFileTest, AValueOfAnotherKindIsNamed) {
  const GgufFile opened(file(small_file().str()));
  const GgufMetadata& metadata = opened.metadata();
  EXPECT_CONTAINS(error_of([&] { (void)metadata.whole("a.f32"); }),
                  "a.f32: expected a whole number, found f32");
  EXPECT_CONTAINS(error_of([&] { (void)metadata.whole("a.bool"); }), "found bool");
  EXPECT_CONTAINS(error_of([&] { (void)metadata.number("a.wholes"); }), "an array of 3 u32");
  EXPECT_CONTAINS(error_of([&] { (void)metadata.text("a.u32"); }), "expected a string, found u32");
  EXPECT_CONTAINS(error_of([&] { (void)metadata.texts("a.wholes"); }), "an array of strings");
  EXPECT_CONTAINS(error_of([&] { (void)metadata.flag("a.u32"); }), "expected a bool");
  EXPECT_CONTAINS(error_of([&] { (void)metadata.numbers("a.texts"); }), "an array of numbers");
}

// Whatever is missing at the end of the file, but for the padding behind the last tensor.
TEST_F(GgufFileTest, EveryShorterFileIsRefused) {
  const std::string whole = small_file().str();
  const size_t used = whole.size() - (32 - 12);
  for (size_t length = 0; length < used; ++length) refusal(whole.substr(0, length));
  for (size_t length = used; length <= whole.size(); ++length)
    EXPECT_NO_THROW(GgufFile(file(whole.substr(0, length)))) << length;
}

// No byte of the header can be changed so that anything but an Error or a file comes of it.
TEST_F(GgufFileTest, EveryChangedByteIsReadOrRefused) {
  const std::string whole = small_file().str();
  for (size_t at = 0; at + 128 < whole.size(); ++at)
    for (const char changed : {'\0', '\1', '\x7f', '\xff'}) {
      std::string bytes = whole;
      bytes[at] = changed;
      const auto path = file(bytes);
      try {
        const GgufFile opened(path);
        for (const GgufTensor& tensor : opened.tensors()) (void)opened.bytes(tensor);
        for (const std::string_view key : opened.metadata().keys())
          (void)opened.metadata().find(key);
      } catch (const Error& error) {
        EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
      }
    }
}

TEST_F(GgufFileTest, RefusalsSayWhatIsWrong) {
  EXPECT_CONTAINS(refusal("PK\3\4 and more"), "begins with GGUF, found \"PK");
  EXPECT_CONTAINS(refusal("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull");
  GgufBytes old = small_file();
  old.version = 1;
  EXPECT_CONTAINS(refusal(old.str()), "version: expected 2 or 3, found 1");
  old.version = 3U << 24;
  EXPECT_CONTAINS(refusal(old.str()), "big-endian");
  GgufBytes wide = small_file();
  wide.tensors[0].dims = {48, 1};
  EXPECT_CONTAINS(refusal(wide.str()),
                  "tensor \"matrix\": expected rows of a multiple of 32 for Q4_0, found 48");
  GgufBytes unknown = small_file();
  unknown.tensors[1].type = 4;
  EXPECT_CONTAINS(refusal(unknown.str()), "tensor \"list\"");
  EXPECT_CONTAINS(refusal(unknown.str()), "found number 4");
  GgufBytes twice = small_file();
  twice.metadata.emplace_back("a.u32", testing::u32(8));
  EXPECT_CONTAINS(refusal(twice.str()), "metadata \"a.u32\": expected once, found twice");
  GgufBytes uneven = small_file();
  EXPECT_CONTAINS(refusal(uneven.with("general.alignment", testing::u32(48)).str()),
                  "general.alignment: expected a power of two (u32), found 48");
}

TEST_F(GgufFileTest, SizesWhoseProductOverflowsAreRefused) {
  for (const std::vector<uint64_t>& dims :
       {std::vector<uint64_t>{uint64_t{1} << 32, uint64_t{1} << 32},
        {uint64_t{1} << 31, uint64_t{1} << 31, 2},
        {0, uint64_t{1} << 62, 4},
        {uint64_t{1} << 63}}) {
    GgufBytes hostile;
    hostile.add("t", dims, std::string(64, '\0'));
    EXPECT_CONTAINS(refusal(hostile.str()), "2^63");
  }
}

TEST_F(GgufFileTest, TensorsCannotOverlapOrLeaveHoles) {
  std::string bytes = small_file().str();
  // the last offset: 64 in an honest file
  const size_t at = bytes.find("list") + 4 + 4 + 8 + 4;
  for (const uint64_t offset : {uint64_t{0}, uint64_t{96}, ~uint64_t{31}}) {
    bytes.replace(at, 8, testing::le(offset));
    EXPECT_CONTAINS(refusal(bytes), "tensor \"list\": expected to begin at byte 64");
  }
}

TEST_F(GgufFileTest, NamesBelongToOneTensor) {
  GgufBytes twice = small_file();
  twice.add("list", {1}, testing::floats({1}));
  EXPECT_CONTAINS(refusal(twice.str()), "tensor \"list\": expected once, found twice");
  GgufBytes long_name;
  EXPECT_CONTAINS(refusal(long_name.add(std::string(64, 'a'), {1}, "abcd").str()), "1 to 63 bytes");
}

// --- parts ---

GgufBytes part(uint16_t number, uint16_t count, const std::string& tensor) {
  GgufBytes file;
  if (number == 0) file.with("general.architecture", testing::text("llama"));
  file.with("split.no", testing::u16(number))
      .with("split.count", testing::u16(count))
      .with("split.tensors.count", testing::i32(2));
  file.add(tensor, {2}, testing::floats({1, 2}));
  return file;
}

TEST_F(GgufFileTest, PartsAreReadTogether) {
  const auto first = file(part(0, 2, "a").str(), "m-00001-of-00002.gguf");
  file(part(1, 2, "b").str(), "m-00002-of-00002.gguf");
  const auto parts = open_gguf_parts(first);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_NE(parts[1]->find("b"), nullptr);
  EXPECT_EQ(open_gguf_parts(file(small_file().str())).size(), 1U);
}

TEST_F(GgufFileTest, PartsThatDoNotBelongTogetherAreRefused) {
  const auto first = file(part(0, 2, "a").str(), "m-00001-of-00002.gguf");
  const auto message = [&] { return error_of([&] { (void)open_gguf_parts(first); }); };
  EXPECT_CONTAINS(message(), "the part m-00002-of-00002.gguf is missing");
  const auto second = [&](const GgufBytes& bytes) {
    return file(bytes.str(), "m-00002-of-00002.gguf");
  };
  second(part(0, 2, "b"));
  EXPECT_CONTAINS(message(), "split.no: expected 1, found 0");
  second(part(1, 3, "b"));
  EXPECT_CONTAINS(message(), "split.count: expected 2, found 3");
  second(part(1, 2, "b").without("split.no"));
  EXPECT_CONTAINS(message(), "split.no: expected 1, found none");
  second(part(1, 2, "b").with("general.architecture", testing::text("qwen2")));
  EXPECT_CONTAINS(message(), "general.architecture: expected what the first part says");
  second(part(1, 2, "a"));
  EXPECT_CONTAINS(message(), "tensor \"a\": expected in one part, found in two");
  GgufBytes more = part(1, 2, "b");
  second(more.add("c", {1}, testing::floats({1})));
  EXPECT_CONTAINS(message(), "expected 2 tensors in all parts, found 3");
}

TEST_F(GgufFileTest, APartThatIsNotTheFirstNamesTheFirst) {
  const auto second = file(part(1, 2, "b").str(), "m-00002-of-00002.gguf");
  EXPECT_CONTAINS(error_of([&] { (void)open_gguf_parts(second); }),
                  "expected the first part, m-00001-of-00002.gguf, found part 2");
  const auto renamed = file(part(0, 2, "a").str(), "m.gguf");
  EXPECT_CONTAINS(error_of([&] { (void)open_gguf_parts(renamed); }),
                  "expected a name that ends in -00001-of-00002.gguf");
}

// --- the reference's cases ---

TEST(GoldenGgufCases, AreAcceptedAndRefusedAsTheManifestSays) {
  HALFTONE_REQUIRE_SHARED("golden/gguf_cases/manifest.json");
  const nlohmann::json manifest = read_json(shared_data("golden/gguf_cases/manifest.json"));
  std::map<std::string, int> seen;
  for (const auto& entry : manifest.at("cases")) {
    const auto name = entry.at("file").get<std::string>(),
               expected = entry.at("expected").get<std::string>();
    SCOPED_TRACE(name);
    const auto path = shared_data("golden/gguf_cases/" + name);
    if (expected == "accept") {
      EXPECT_NO_THROW(GgufFile opened(path));
    } else if (expected == "reject") {
      EXPECT_CONTAINS(error_of([&] { GgufFile opened(path); }), name + ": ");
    }
    seen[expected] += 1;
  }
  EXPECT_EQ(seen, (std::map<std::string, int>{{"accept", 14}, {"either", 1}, {"reject", 41}}));
}

TEST(GoldenGgufFiles, HoldWhatTheReferenceReadsInThem) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/files/manifest.json");
  const nlohmann::json manifest = read_json(shared_data("golden/gguf/files/manifest.json"));
  for (const auto& [name, entry] : manifest.items()) {
    SCOPED_TRACE(name);
    const GgufFile opened(shared_data("golden/gguf/files/" + name));
    EXPECT_EQ(opened.tensors().size(), entry.at("tensors").size());
    for (const auto& [tensor_name, expected] : entry.at("tensors").items()) {
      const GgufTensor* tensor = opened.find(tensor_name);
      ASSERT_NE(tensor, nullptr) << tensor_name;
      EXPECT_EQ(tensor->type->name, expected.at("type").get<std::string>());
      auto shape = expected.at("shape").get<std::vector<int64_t>>();
      EXPECT_EQ(tensor->shape, (std::vector<int64_t>(shape.rbegin(), shape.rend())));
      EXPECT_EQ(tensor->begin, expected.at("offset").get<size_t>());
      EXPECT_EQ(tensor->end - tensor->begin, expected.at("bytes").get<size_t>());
    }
    for (const auto& [key, value] : entry.at("kv").items()) {
      if (key.starts_with("GGUF.")) continue;
      ASSERT_TRUE(opened.metadata().contains(key)) << key;
      const GgufMetadata& metadata = opened.metadata();
      if (value.is_string()) {
        EXPECT_EQ(metadata.text(key), value.get<std::string>());
      } else if (value.is_boolean()) {
        EXPECT_EQ(metadata.flag(key), value.get<bool>());
      } else if (value.is_number_integer()) {
        EXPECT_EQ(metadata.whole(key), value.get<int64_t>());
      } else if (value.is_object()) {
        EXPECT_EQ(metadata.find(key)->count, value.at("n").get<uint64_t>());
      }
    }
  }
  EXPECT_EQ(manifest.size(), 5U);
}

}  // namespace
}  // namespace halftone
