#include "checkpoint/safetensors_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "checkpoint/dtype.h"
#include "checkpoint/strict_json.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxIndex = std::numeric_limits<int64_t>::max();

std::string listed(const std::vector<int64_t>& numbers) {
  return fmt::format("[{}]", printable(fmt::format("{}", fmt::join(numbers, ", "))));
}

// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
class HeaderReader final : public JsonEvents {
 public:
  void open(bool is_object) override {
    depth_ += 1;
    if (depth_ == 1 && !is_object) fail("expected an object, found an array");
    if (depth_ == 2 && !is_object) fail("{}: expected an object, found an array", place());
    if (depth_ == 2 && !in_metadata_) begin_tensor();
    if (depth_ > 2) open_in_entry(is_object);
  }

  void close() override {
    if (depth_ == 2 && !in_metadata_) finish_tensor();
    depth_ -= 1;
  }

  void key(std::string&& name) override {
    if (depth_ > 2) return;
    if (depth_ == 1) in_metadata_ = name == kMetadataKey;
    (depth_ == 1 ? entry_ : field_) = std::move(name);
  }

  void scalar(json&& value) override {
    if (depth_ == 0) fail("expected an object, found {}", shown(value));
    if (depth_ == 1) fail("{}: expected an object, found {}", place(), shown(value));
    if (value.is_number() && !value.is_number_unsigned())
      fail("{}: expected whole numbers from 0 to 2^63 - 1, found {}", place(), shown(value));
    if (in_metadata_) return add_metadata(value);
    if (field_ == "dtype") return set_dtype(value);
    if (field_ == "shape") return shape_.push_back(index(value));
    if (field_ == "data_offsets") return offsets_.push_back(index(value));
  }

  SafetensorsHeader take() { return std::move(header_); }

 private:
  static std::string shown(const json& value) { return printable(value.dump()); }

  std::string place() const {
    return in_metadata_ ? std::string(kMetadataKey)
                        : fmt::format("tensor \"{}\"", printable(entry_, 200));
  }

  void begin_tensor() {
    dtype_.clear();
    shape_.clear();
    offsets_.clear();
    has_shape_ = false;
  }

  void open_in_entry(bool is_object) {
    if (in_metadata_) fail("{}: expected texts only, found an object or array", place());
    const bool is_list = field_ == "shape" || field_ == "data_offsets";
    if (field_ == "dtype" || (is_list && (depth_ > 3 || is_object)))
      fail("{}: {}: expected {}, found an {}", place(), field_,
           is_list ? "an array of whole numbers" : "text", is_object ? "object" : "array");
    if (field_ == "shape") has_shape_ = true;
  }

  void add_metadata(json& value) {
    if (!value.is_string())
      fail("{}: {}: expected text, found {}", place(), printable(field_), shown(value));
    header_.metadata.emplace(field_, std::move(value.get_ref<std::string&>()));
  }

  void set_dtype(const json& value) {
    if (!value.is_string() || !find_dtype(value.get_ref<const std::string&>()))
      fail("{}: dtype: expected one of {}, found {}", place(), known_dtypes(), shown(value));
    dtype_ = value.get<std::string>();
  }

  static std::string known_dtypes() {
    std::string names;
    for (const Dtype& dtype : all_dtypes())
      names += fmt::format("{}{}", names.empty() ? "" : " ", dtype.name);
    return names;
  }

  // A dimension or offset.
  int64_t index(const json& value) const {
    if (depth_ != 3) fail("{}: {}: expected an array, found {}", place(), field_, shown(value));
    if (!value.is_number_unsigned() || value.get<uint64_t>() > kMaxIndex)
      fail("{}: {}: expected whole numbers from 0 to 2^63 - 1, found {}", place(), field_,
           shown(value));
    return value.get<int64_t>();
  }

  void finish_tensor() {
    if (dtype_.empty() || !has_shape_)
      fail("{}: expected dtype, shape and data_offsets, found no {}", place(),
           dtype_.empty() ? "dtype" : "shape");
    if (offsets_.size() != 2 || offsets_[0] > offsets_[1])
      fail("{}: data_offsets: expected [begin, end] with begin <= end, found {}", place(),
           listed(offsets_));
    header_.tensors.push_back({.name = std::move(entry_),
                               .dtype = dtype_,
                               .shape = std::move(shape_),
                               .begin = static_cast<size_t>(offsets_[0]),
                               .end = static_cast<size_t>(offsets_[1])});
  }

  SafetensorsHeader header_;
  size_t depth_ = 0;  // 1: the names, 2: inside an entry, 3: inside its shape or offsets
  bool in_metadata_ = false, has_shape_ = false;
  std::string entry_, field_, dtype_;
  std::vector<int64_t> shape_, offsets_;
};

// Bytes of a tensor. None: beyond 2^63 bits, or not whole bytes. Empty dimensions do not excuse an
// overflow of the others (strides are computed from them).
std::optional<size_t> stored_size(const StoredTensor& tensor) {
  int64_t bits = find_dtype(tensor.dtype)->bits;
  bool empty = false;
  for (const int64_t size : tensor.shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(bits, std::max<int64_t>(size, 1), &bits)) return {};
  }
  if (empty) return 0;
  if (bits % 8 != 0) return {};
  return static_cast<size_t>(bits) / 8;
}

void require_size(const StoredTensor& tensor) {
  const std::optional<size_t> expected = stored_size(tensor);
  const size_t found = tensor.end - tensor.begin;
  if (expected == found) return;
  fail("tensor \"{}\": expected {} for {} {}, found {}", printable(tensor.name, 200),
       expected ? fmt::format("{} bytes", *expected) : "a countable number of whole bytes",
       tensor.dtype, listed(tensor.shape), found);
}

// No holes, no overlap, nothing left over.
void require_cover(const std::vector<StoredTensor>& tensors, size_t data_bytes) {
  size_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin != end)
      fail("tensor \"{}\": expected to begin at byte {} of the data, found {}: {}",
           printable(tensor.name, 200), end, tensor.begin,
           tensor.begin > end ? "a hole" : "it overlaps another tensor");
    end = tensor.end;
  }
  require(end == data_bytes, "expected {} bytes of data by the header, found {}; likely {}", end,
          data_bytes,
          end > data_bytes ? "a copy or download that was cut short" : "a damaged file");
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, size_t data_bytes) {
  HeaderReader reader;
  read_strict_json(text, reader);
  SafetensorsHeader header = reader.take();
  for (const StoredTensor& tensor : header.tensors) require_size(tensor);
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const StoredTensor& a, const StoredTensor& b) {
                     return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
                   });
  require_cover(header.tensors, data_bytes);
  return header;
}

}  // namespace halftone
