#include "checkpoint/imatrix_file.h"

#include <ATen/ATen.h>

#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/sha256.h"
#include "checkpoint/gguf_file.h"

namespace halftone {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr int64_t kMostEntries = 1 << 20, kLongestName = 1 << 12;

// Bytes in order, each asked for before it is used.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  std::string_view take(size_t count) {
    require(count <= bytes_.size(), "expected {} bytes more, found {}", count, bytes_.size());
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  // A count of which 1 .. most are plausible.
  int64_t count(const char* what, int64_t most) {
    int32_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    require(value >= 1 && value <= most, "{}: expected 1 to {}, found {} (no importance matrix?)",
            what, most, value);
    return value;
  }
  at::Tensor floats(int64_t count) {
    const std::string_view taken = take(static_cast<size_t>(count) * sizeof(float));
    at::Tensor values = at::empty({count}, at::kFloat);
    std::memcpy(values.mutable_data_ptr<float>(), taken.data(), taken.size());
    return values;
  }

 private:
  std::string_view bytes_;
};

at::Tensor floats_of(const GgufFile& file, const GgufTensor& tensor) {
  require(tensor.type->name == "F32", "{}: expected F32, found {}", printable(tensor.name),
          tensor.type->name);
  const std::span<const std::byte> bytes = file.bytes(tensor);
  at::Tensor values = at::empty({static_cast<int64_t>(bytes.size() / sizeof(float))}, at::kFloat);
  if (!bytes.empty()) std::memcpy(values.mutable_data_ptr<float>(), bytes.data(), bytes.size());
  return values;
}

bool usable(const at::Tensor& values) {
  return values.isfinite().all().item<bool>() && values.ge(0).all().item<bool>();
}

}  // namespace

ImatrixFile::ImatrixFile(const std::filesystem::path& path) : name_(shown(path)) {
  const MappedFile file(path);
  sha256_ = sha256_hex(file.bytes());
  if (is_gguf(path))
    read_gguf(path);
  else
    with_context(name_, [&] { read_old(file.text()); });
}

void ImatrixFile::read_gguf(const std::filesystem::path& path) {
  const GgufFile file(path);
  with_context(name_, [&] {
    for (const GgufTensor& tensor : file.tensors()) {
      const std::string name(tensor.name);
      if (!name.ends_with(kSums)) continue;
      const std::string weight = name.substr(0, name.size() - kSums.size());
      const GgufTensor* counts = file.find(weight + std::string(kCounts));
      require(counts != nullptr, "{}: no {} beside it", printable(name), kCounts);
      add(weight, floats_of(file, tensor), floats_of(file, *counts));
    }
    require(!means_.empty(), "expected an importance matrix (tensors NAME{}), found none", kSums);
  });
}

// int32 entries, and of each: int32 length, name, int32 calls, int32 values, float32 sums of means.
void ImatrixFile::read_old(std::string_view bytes) {
  Cursor cursor(bytes);
  const int64_t entries = cursor.count("entries", kMostEntries);
  for (int64_t i = 0; i < entries; ++i) {
    const int64_t length = cursor.count("length of a name", kLongestName);
    const std::string weight(cursor.take(static_cast<size_t>(length)));
    const auto calls =
        static_cast<float>(cursor.count("calls", std::numeric_limits<int32_t>::max()));
    const int64_t values = cursor.count("values", std::numeric_limits<int32_t>::max());
    add(weight, cursor.floats(values), at::full({1}, calls, at::kFloat));
  }
}

void ImatrixFile::add(const std::string& weight, at::Tensor sums, at::Tensor counts) {
  const int64_t matrices = counts.numel();
  require(matrices > 0 && sums.numel() > 0 && sums.numel() % matrices == 0,
          "{}: expected sums for each of {} counts, found {}", printable(weight), matrices,
          sums.numel());
  require(usable(sums) && usable(counts), "{}: a number is negative or not finite",
          printable(weight));
  counts = counts.view({-1, 1});
  sums = sums.view({matrices, -1});
  at::Tensor means = at::where(counts > 0, sums / counts.clamp_min(1e-30), at::ones_like(sums));
  require(usable(means), "{}: a mean is not finite", printable(weight));
  require(means_.emplace(weight, std::move(means)).second, "{}: expected once, found twice",
          printable(weight));
}

at::Tensor ImatrixFile::mean_squares(std::string_view weight, int64_t in, int64_t matrix) const {
  const auto found = means_.find(weight);
  require(found != means_.end(), "{}: nothing for {} (an importance matrix of another model?)",
          name_, weight);
  const at::Tensor& means = found->second;
  require(means.size(1) == in && matrix < means.size(0),
          "{}: {}: expected {} values, found {} (an importance matrix of another model?)", name_,
          weight, in, means.size(1));
  return means[matrix];
}

}  // namespace halftone
