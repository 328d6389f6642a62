#include <ATen/ATen.h>

#include <cstring>

#include "checkpoint/dtype.h"
#include "checkpoint/hostile_files.h"
#include "checkpoint/safetensors.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::TemporaryFolder;
using Tensors = std::map<std::string, at::Tensor>;
using Metadata = std::map<std::string, std::string>;

// Bytes 1, 2, 3, ... (BOOL: 1, 0, 1, ...) as a tensor of this type.
at::Tensor counting_bytes(at::ScalarType type, const std::vector<int64_t>& shape) {
  at::Tensor tensor = at::empty(shape, type);
  auto* bytes = static_cast<uint8_t*>(tensor.mutable_data_ptr());
  for (size_t i = 0; i < tensor.nbytes(); ++i)
    bytes[i] = static_cast<uint8_t>((i + 1) & (type == at::kBool ? 1 : 0xff));
  return tensor;
}

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() &&
         (a.nbytes() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0);
}

// Every type torch has, as a matrix, a scalar and an empty tensor.
Tensors one_of_each() {
  Tensors tensors;
  for (const Dtype& dtype : all_dtypes()) {
    if (!dtype.scalar) continue;
    const std::string name(dtype.name);
    tensors.emplace(name + ".matrix", counting_bytes(*dtype.scalar, {3, 5}));
    tensors.emplace(name + ".scalar", counting_bytes(*dtype.scalar, {}));
    tensors.emplace(name + ".empty", counting_bytes(*dtype.scalar, {2, 0}));
  }
  return tensors;
}

class SafetensorsWriter : public ::testing::Test {
 protected:
  std::string written(const Tensors& tensors, const Metadata& metadata) {
    write_safetensors(path_, tensors, metadata);
    return read_file(path_);
  }
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "t.safetensors";
};

TEST_F(SafetensorsWriter, EveryDtypeReadsBackBitForBit) {
  const Tensors tensors = one_of_each();
  ASSERT_EQ(tensors.size(), 19u * 3);
  written(tensors, {});
  const SafetensorsFile file(path_);
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    SCOPED_TRACE(name);
    const StoredTensor* stored = file.find(name);
    ASSERT_NE(stored, nullptr);
    EXPECT_EQ(name.substr(0, name.find('.')), stored->dtype);
    const at::Tensor back = file.view(*stored);
    EXPECT_EQ(back.scalar_type(), tensor.scalar_type());
    EXPECT_EQ(back.sizes(), tensor.sizes());
    EXPECT_TRUE(same_bytes(back, tensor));
  }
}

TEST_F(SafetensorsWriter, EveryTensorIsAlignedInTheFile) {
  written(one_of_each(), {{"odd", "length"}});
  const SafetensorsFile file(path_);
  for (const StoredTensor& tensor : file.tensors())
    EXPECT_EQ(tensor.begin * 8 % find_dtype(tensor.dtype)->bits, 0u) << tensor.name;
}

TEST_F(SafetensorsWriter, SameInputGivesTheSameBytes) {
  const Metadata metadata{{"format", "pt"}, {"a", "b"}};
  EXPECT_EQ(written(one_of_each(), metadata), written(one_of_each(), metadata));
}

TEST_F(SafetensorsWriter, BytesAreThoseOfTheFormat) {
  const at::Tensor a = at::tensor({1, 2}, at::kByte), b = at::tensor({1.0f}, at::kFloat);
  EXPECT_EQ(written({{"a", a}, {"b", b}}, {{"k", "v"}}),
            testing::safetensors_bytes(
                R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                R"("a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}     )",
                std::string("\0\0\x80\x3f\x01\x02", 6)));
  EXPECT_EQ(written({}, {}), testing::safetensors_bytes("{}      ", ""));
}

TEST_F(SafetensorsWriter, ReproducesFilesOfTheReferenceLibrary) {
  for (const char* name : {"library_written", "one_f32", "rank0", "metadata_only"}) {
    SCOPED_TRACE(name);
    const auto golden = testing::test_data(fmt::format("safetensors_cases/{}.safetensors", name));
    const SafetensorsFile file(golden);
    Tensors tensors;
    for (const StoredTensor& tensor : file.tensors())
      tensors.emplace(tensor.name, file.view(tensor));
    EXPECT_EQ(written(tensors, file.metadata()), read_file(golden));
  }
}

TEST_F(SafetensorsWriter, NamesAndMetadataMayHoldAnyUtf8) {
  const std::string odd = "a\"\\/\n\x01\x7f\xe6\xa8\xa1 \xf0\x9f\x99\x82";
  written({{odd, at::ones({1})}, {"", at::zeros({1})}}, {{odd, odd}});
  const SafetensorsFile file(path_);
  EXPECT_NE(file.find(odd), nullptr);
  EXPECT_NE(file.find(""), nullptr);
  EXPECT_EQ(file.metadata().at(odd), odd);
}

TEST_F(SafetensorsWriter, RefusesWhatTheFormatCannotHold) {
  const auto refusal = [&](const std::string& name, const at::Tensor& tensor) {
    return error_of([&] { written({{name, tensor}}, {}); });
  };
  EXPECT_CONTAINS(refusal("a", at::ones({2, 3}).t()), "expected a contiguous CPU tensor");
  const at::Tensor conjugate = at::ones({1}, at::kComplexFloat).conj();
  EXPECT_CONTAINS(refusal("a", conjugate), "expected a contiguous CPU tensor");
  EXPECT_CONTAINS(refusal("a", at::Tensor()), "expected a contiguous CPU tensor");
  EXPECT_CONTAINS(refusal("a", at::ones({1}, at::kComplexDouble)), "no dtype ComplexDouble");
  EXPECT_CONTAINS(refusal("__metadata__", at::ones({1})), "reserved");
  EXPECT_CONTAINS(refusal("a\xff", at::ones({1})), "expected UTF-8");
  EXPECT_CONTAINS(error_of([&] { written({}, {{"k", "\xc0"}}); }), "expected UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SafetensorsWriter, FailureLeavesTheOldFileAndNothingElse) {
  const std::string old = written({{"a", at::ones({1})}}, {});
  error_of([&] { written({{"a", at::ones({2, 2}).t()}}, {}); });
  EXPECT_EQ(read_file(path_), old);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  error_of([&] { write_safetensors(folder_ / "none" / "t.safetensors", {}, {}); });
}

}  // namespace
}  // namespace halftone
