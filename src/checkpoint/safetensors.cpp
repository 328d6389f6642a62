#include "checkpoint/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "base/error.h"
#include "checkpoint/dtype.h"
#include "checkpoint/safetensors_header.h"

namespace halftone {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are mapped, not converted");

constexpr size_t kLengthBytes = 8;  // the header's length comes first

std::string_view header_of(std::string_view file) {
  const bool is_pointer = file.starts_with("version https://git-lfs");
  require(!is_pointer,
          "expected tensors, found a Git LFS pointer; `git lfs pull` fetches the file");
  require(file.size() >= kLengthBytes, "expected a safetensors file, found {} bytes", file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  const size_t most = std::min(file.size() - kLengthBytes, kMaxSafetensorsHeader);
  require(length <= most,
          "expected a header of at most {} bytes, found {}; likely cut short, or not safetensors",
          most, length);
  return file.substr(kLengthBytes, length);
}

// A bool that is neither 0 nor 1 is undefined behaviour wherever it is used.
void require_booleans(std::span<const std::byte> data) {
  const bool ok =
      std::all_of(data.begin(), data.end(), [](std::byte b) { return b <= std::byte{1}; });
  require(ok, "dtype BOOL: expected bytes 0 and 1 only, found others");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  with_context(printable(path.string(), 400), [&] {
    const std::string_view text = header_of(file_.text());
    const size_t data_begin = kLengthBytes + text.size();
    SafetensorsHeader header = parse_safetensors_header(text, file_.bytes().size() - data_begin);
    metadata_ = std::move(header.metadata);
    tensors_ = std::move(header.tensors);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      tensors_[i].begin += data_begin;
      tensors_[i].end += data_begin;
      index_.emplace(tensors_[i].name, i);
    }
  });
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const StoredTensor& tensor) const {
  assert(tensor.begin <= tensor.end && tensor.end <= file_.bytes().size());
  return file_.bytes().subspan(tensor.begin, tensor.end - tensor.begin);
}

at::Tensor SafetensorsFile::view(const StoredTensor& tensor) const {
  const auto place = [&] {
    return fmt::format("{}: tensor \"{}\"", printable(file_.path().string(), 400),
                       printable(tensor.name, 200));
  };
  const std::optional<at::ScalarType> scalar = find_dtype(tensor.dtype)->scalar;
  require(scalar.has_value(), "{}: dtype {} can be listed but not loaded: torch has no such type",
          place(), tensor.dtype);
  file_.require_unchanged();
  const std::span<const std::byte> data = bytes(tensor);
  if (scalar == at::kBool) with_context(place(), [&] { require_booleans(data); });
  const at::TensorOptions options(*scalar);
  if (reinterpret_cast<uintptr_t>(data.data()) % c10::elementSize(*scalar) != 0) {
    at::Tensor copy = at::empty(tensor.shape, options);
    if (!data.empty()) std::memcpy(copy.mutable_data_ptr(), data.data(), data.size());
    return copy;
  }
  auto* begin = const_cast<std::byte*>(data.data());
  return at::from_blob(
      begin, tensor.shape, [owner = file_.owner()](void*) {}, options);
}

}  // namespace halftone
