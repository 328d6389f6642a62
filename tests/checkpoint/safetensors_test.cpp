#include "checkpoint/safetensors.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/random.h"
#include "checkpoint/hostile_files.h"
#include "checkpoint/safetensors_header.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::safetensors_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

// Two tensors, one of them empty, and metadata.
std::string valid_bytes() {
  return safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
      R"("c":{"dtype":"I64","shape":[0,7],"data_offsets":[11,11]}})",
      "01234567abc");
}

class Safetensors : public ::testing::Test {
 protected:
  SafetensorsFile open(const std::string& bytes) {
    write_bytes(path_, bytes);
    return SafetensorsFile(path_);
  }
  // A file with this header and `data` bytes behind it.
  std::string rejection(const std::string& header, const std::string& data = "") {
    return error_of([&] { open(safetensors_bytes(header, data)); });
  }
  at::Tensor view_of_only(const std::string& header, const std::string& data) {
    const SafetensorsFile file = open(safetensors_bytes(header, data));
    return file.view(file.tensors().at(0));
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "t.safetensors";
};

TEST_F(Safetensors, FileCutAtAnyLengthIsRejected) {
  const std::string bytes = valid_bytes();
  ASSERT_NO_THROW(open(bytes));
  for (size_t length = 0; length < bytes.size(); ++length) {
    SCOPED_TRACE(length);
    error_of([&] { open(bytes.substr(0, length)); });
  }
}

TEST_F(Safetensors, AnythingBehindTheDataIsRejected) {
  EXPECT_CONTAINS(error_of([&] { open(valid_bytes() + "x"); }), "expected 11 bytes of data");
}

// What is still accepted describes exactly the bytes that are there, and can be looked at.
void expect_sound(const SafetensorsFile& file) {
  size_t bytes = 0;
  for (const StoredTensor& tensor : file.tensors()) {
    bytes += file.bytes(tensor).size();
    try {
      EXPECT_EQ(file.view(tensor).nbytes(), file.bytes(tensor).size());
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(bytes, 11u);
}

TEST_F(Safetensors, FlippedHeaderBitsGiveAnErrorOrASoundFile) {
  const std::string valid = valid_bytes();
  const std::string header = valid.substr(8, valid.size() - 8 - 11);
  Random random(7);
  int accepted = 0, rejected = 0;
  for (int trial = 0; trial < 20'000; ++trial) {
    std::string text = header;
    for (uint64_t flips = 1 + random.below(3); flips > 0; --flips)
      text[random.below(text.size())] ^= static_cast<char>(1 << random.below(8));
    try {
      parse_safetensors_header(text, 11);
      if (accepted < 300) expect_sound(open(safetensors_bytes(text, "01234567abc")));
      accepted += 1;
    } catch (const Error&) {
      rejected += 1;
    }
  }
  EXPECT_GT(accepted, 300);
  EXPECT_GT(rejected, 10'000);
}

TEST_F(Safetensors, FlippedBitInTheLengthIsRejected) {
  for (size_t bit = 0; bit < 64; ++bit) {
    SCOPED_TRACE(bit);
    std::string bytes = valid_bytes();
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    error_of([&] { open(bytes); });
  }
}

TEST_F(Safetensors, ErrorNamesFileTensorExpectedAndFound) {
  const auto message = rejection(
      R"({"model.w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", std::string(20, 'x'));
  EXPECT_EQ(message,
            path_.string() + ": tensor \"model.w\": expected 24 bytes for F32 [2, 3], found 20");
}

TEST_F(Safetensors, ErrorEscapesTextFromTheFile) {
  const auto message =
      rejection(R"({"a\n\u001b[31m":{"dtype":"F31","shape":[],"data_offsets":[0,0]}})");
  EXPECT_CONTAINS(message, R"(tensor "a\x0a\x1b[31m": dtype: expected one of BOOL F4)");
  EXPECT_CONTAINS(message, R"(found "F31")");
}

TEST_F(Safetensors, RejectsOverlappingTensors) {
  const auto message = rejection(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                 R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                                 "012345");
  EXPECT_CONTAINS(message, R"(tensor "b": expected to begin at byte 4 of the data, found 2)");
}

TEST_F(Safetensors, RejectsAHoleBetweenTensors) {
  const auto message = rejection(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                                 "012");
  EXPECT_CONTAINS(message, "found 2: a hole");
}

TEST_F(Safetensors, RejectsEmptyTensorWhoseOtherDimensionsOverflow) {
  for (const char* shape : {"[0,4294967296,4294967296]", "[4294967296,4294967296,0]"}) {
    const auto message = rejection(
        fmt::format(R"({{"a":{{"dtype":"F32","shape":{},"data_offsets":[0,0]}}}})", shape));
    EXPECT_CONTAINS(message, "a countable number of whole bytes");
  }
}

TEST_F(Safetensors, RejectsNestingBeyondTheLimitAlsoInUnknownFields) {
  const auto nested = [](size_t levels) {  // two levels are the header's own
    return R"({"a":{"x":)" + std::string(levels - 2, '[') + std::string(levels - 2, ']') +
           R"(,"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
  };
  EXPECT_NO_THROW(open(safetensors_bytes(nested(64), "")));
  EXPECT_CONTAINS(rejection(nested(65)), "nested deeper than 64");
  EXPECT_CONTAINS(rejection(nested(100'000)), "nested deeper than 64");
}

TEST_F(Safetensors, RejectsNumbersThatAreNotWholeAnywhereInTheHeader) {
  for (const char* number : {"-1", "-0", "1.0", "1e3", "18446744073709551616"})
    EXPECT_CONTAINS(
        rejection(fmt::format(
            R"({{"a":{{"dtype":"U8","shape":[0],"x":[{}],"data_offsets":[0,0]}}}})", number)),
        "expected whole numbers");
}

TEST_F(Safetensors, RejectsDimensionAbove63Bits) {
  EXPECT_CONTAINS(
      rejection(R"({"a":{"dtype":"U8","shape":[0,9223372036854775808],"data_offsets":[0,0]}})"),
      "found 9223372036854775808");
}

TEST_F(Safetensors, RejectsKeyTwiceInAnUnknownField) {
  EXPECT_CONTAINS(
      rejection(R"({"a":{"dtype":"U8","shape":[0],"x":{"k":1,"k":2},"data_offsets":[0,0]}})"),
      R"(key "k" appears twice)");
}

TEST_F(Safetensors, RejectsByteOrderMarkAndNul) {
  EXPECT_CONTAINS(rejection("\xef\xbb\xbf{}"), "byte order mark");
  EXPECT_CONTAINS(rejection(std::string("{}\0", 3)), "NUL");
}

TEST_F(Safetensors, RejectsSubByteTensorThatEndsWithinAByte) {
  EXPECT_CONTAINS(rejection(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", "x"),
                  "expected a countable number of whole bytes for F4 [3], found 1");
}

TEST_F(Safetensors, RejectsReversedOffsets) {
  EXPECT_CONTAINS(rejection(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", "x"),
                  "expected [begin, end] with begin <= end, found [1, 0]");
}

TEST_F(Safetensors, RejectsEntryWithoutAFieldThatTheEntryBeforeItHas) {
  const std::string first = R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  EXPECT_CONTAINS(rejection("{" + first + R"("b":{"dtype":"U8","data_offsets":[0,0]}})"),
                  R"(tensor "b": expected dtype, shape and data_offsets, found no shape)");
  EXPECT_CONTAINS(rejection("{" + first + R"("b":{"shape":[0],"data_offsets":[0,0]}})"),
                  R"(tensor "b": expected dtype, shape and data_offsets, found no dtype)");
  EXPECT_CONTAINS(rejection("{" + first + R"("b":{"dtype":"U8","shape":[0]}})"),
                  R"(tensor "b": data_offsets: expected [begin, end] with begin <= end, found [])");
}

TEST_F(Safetensors, EmptyTensorMayBeListedBehindTheOneThatBeginsThere) {
  EXPECT_NO_THROW(open(safetensors_bytes(R"({"f":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                         R"("e":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                                         "x")));
}

TEST_F(Safetensors, RejectsNestedShape) {
  EXPECT_CONTAINS(rejection(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "x"),
                  "shape: expected an array of whole numbers, found an array");
  EXPECT_CONTAINS(rejection(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "x"),
                  "shape: expected an array, found 1");
}

TEST_F(Safetensors, HeaderLengthBeyondTheFileOrTheLimitIsRejected) {
  for (const uint64_t length : {uint64_t{3}, uint64_t{100'000'001}, UINT64_MAX, UINT64_MAX - 8})
    EXPECT_CONTAINS(error_of([&] { open(safetensors_bytes("{}", "", length)); }),
                    fmt::format("expected a header of at most 2 bytes, found {}", length));
}

TEST_F(Safetensors, HeaderAbove100MegabytesIsRejectedInAFileThatHoldsIt) {
  const uint64_t length = 100'000'001;
  write_bytes(path_, safetensors_bytes("{}", "", length));
  std::filesystem::resize_file(path_, length + 8);  // sparse
  EXPECT_CONTAINS(error_of([&] { SafetensorsFile file(path_); }),
                  "expected a header of at most 100000000 bytes, found 100000001");
}

TEST_F(Safetensors, GitLfsPointerIsCalledByItsName) {
  EXPECT_CONTAINS(
      error_of([&] { open("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"); }),
      "Git LFS pointer");
}

TEST_F(Safetensors, MissingFileIsAnError) {
  EXPECT_CONTAINS(error_of([&] { SafetensorsFile file(folder_ / "none.safetensors"); }),
                  "none.safetensors: ");
}

TEST_F(Safetensors, FindsByNameAndKeepsFileOrder) {
  const SafetensorsFile file =
      open(safetensors_bytes(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
                             R"("z":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                             "012"));
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "z");
  EXPECT_EQ(file.find("b"), &file.tensors()[1]);
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_EQ(file.view(*file.find("b")).item<uint8_t>(), '2');
}

TEST_F(Safetensors, ScalarAndEmptyTensorsAreViewed) {
  const at::Tensor scalar = view_of_only(R"({"s":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})",
                                         std::string("\x2a\0\0\0", 4));
  EXPECT_EQ(scalar.dim(), 0);
  EXPECT_EQ(scalar.item<int>(), 42);
  const at::Tensor empty =
      view_of_only(R"({"e":{"dtype":"F16","shape":[3,0,5],"data_offsets":[0,0]}})", "");
  EXPECT_EQ(empty.sizes(), (std::vector<int64_t>{3, 0, 5}));
  EXPECT_EQ(empty.scalar_type(), at::kHalf);
  const SafetensorsFile file = open(valid_bytes());  // whose empty tensor is not aligned
  EXPECT_EQ(file.view(*file.find("c")).sizes(), (std::vector<int64_t>{0, 7}));
}

TEST_F(Safetensors, NanIsViewedAsStored) {
  const at::Tensor nan = view_of_only(R"({"n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                      std::string("\x45\x23\xc1\x7f", 4));
  EXPECT_TRUE(nan.isnan().item<bool>());
  EXPECT_EQ(nan.view(at::kInt).item<int>(), 0x7fc12345);
}

TEST_F(Safetensors, UnalignedTensorIsCopiedAndAlignedOneIsNot) {
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("b":{"dtype":"I16","shape":[1],"data_offsets":[1,3]}})";
  const SafetensorsFile file = open(safetensors_bytes(header, "\x01\x02\x03"));
  const at::Tensor a = file.view(*file.find("a")), b = file.view(*file.find("b"));
  ASSERT_NE(reinterpret_cast<uintptr_t>(file.bytes(*file.find("a")).data()) % 2, 1u);
  EXPECT_EQ(a.const_data_ptr(), file.bytes(*file.find("a")).data());
  EXPECT_NE(b.const_data_ptr(), file.bytes(*file.find("b")).data());
  EXPECT_EQ(b.item<int16_t>(), 0x0302);
}

TEST_F(Safetensors, ViewOutlivesTheFileObject) {
  at::Tensor view;
  {
    const SafetensorsFile file = open(valid_bytes());
    view = file.view(*file.find("b"));
  }
  std::filesystem::remove(path_);
  EXPECT_EQ(view[2].item<uint8_t>(), 'c');
}

TEST_F(Safetensors, FileThatShrankIsAnErrorNotASignal) {
  const SafetensorsFile file = open(valid_bytes());
  std::filesystem::resize_file(path_, 100);
  EXPECT_CONTAINS(error_of([&] { file.view(*file.find("b")); }), "changed while in use");
}

TEST_F(Safetensors, SubByteTensorsAreListedButNotViewed) {
  const SafetensorsFile file =
      open(safetensors_bytes(R"({"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},)"
                             R"("b":{"dtype":"F6_E3M2","shape":[2,2],"data_offsets":[2,5]}})",
                             "01234"));
  EXPECT_EQ(file.bytes(*file.find("b")).size(), 3u);
  for (const StoredTensor& tensor : file.tensors())
    EXPECT_CONTAINS(error_of([&] { file.view(tensor); }), "torch has no such type");
}

TEST_F(Safetensors, BooleanBeyondOneIsNotViewed) {
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})";
  EXPECT_TRUE(view_of_only(header, std::string("\0\1", 2))[1].item<bool>());
  EXPECT_CONTAINS(error_of([&] { view_of_only(header, "\x01\x02"); }), R"(tensor "m": dtype BOOL)");
}

}  // namespace
}  // namespace halftone
