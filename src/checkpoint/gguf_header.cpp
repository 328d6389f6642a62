#include "checkpoint/gguf_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/error.h"

namespace halftone {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read in place");

constexpr uint64_t kMostItems = uint64_t{1} << 30;  // of an array, bytes of a string
constexpr size_t kLongestName = 63, kMostDimensions = 4;
constexpr size_t kLeastPair = 8 + 4 + 1, kLeastInfo = 8 + 4 + 4 + 8;  // bytes
constexpr std::string_view kAlignmentKey = "general.alignment";

// The bytes of the file in order.
class Cursor {
 public:
  explicit Cursor(std::string_view file) : file_(file) {}

  size_t at() const { return at_; }
  size_t left() const { return file_.size() - at_; }

  std::string_view bytes(uint64_t count) {
    if (count > left())
      fail("expected {} bytes from byte {} on, found {}; likely cut short", count, at_, left());
    const std::string_view taken = file_.substr(at_, count);
    at_ += count;
    return taken;
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, bytes(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view string() {
    const auto length = number<uint64_t>();
    require(length <= kMostItems, "expected a string of at most {} bytes, found {}", kMostItems,
            length);
    return bytes(length);
  }

  std::string_view since(size_t begin) const { return file_.substr(begin, at_ - begin); }

 private:
  std::string_view file_;
  size_t at_ = 0;
};

uint32_t read_version(Cursor& cursor, std::string_view file) {
  require(!file.starts_with("version https://git-lfs"),
          "expected tensors, found a Git LFS pointer; `git lfs pull` fetches the file");
  require(file.starts_with("GGUF"), "expected a file that begins with GGUF, found {}",
          file.empty() ? "nothing" : fmt::format("\"{}\"", printable(file.substr(0, 4))));
  cursor.bytes(4);
  const auto version = cursor.number<uint32_t>();
  require(version == 2 || version == 3, "version: expected 2 or 3, found {}{}", version,
          (version & 0xffff) == 0 ? "; likely of a big-endian machine"
          : version == 1          ? ", which engines have given up too"
                                  : "");
  return version;
}

GgufKind read_kind(Cursor& cursor, bool in_array) {
  const auto kind = cursor.number<uint32_t>();
  require(kind <= static_cast<uint32_t>(GgufKind::kF64),
          "expected a kind of value from 0 to 12, "
          "found {}",
          kind);
  require(!in_array || kind != static_cast<uint32_t>(GgufKind::kArray),
          "expected an array of numbers or strings, found an array of arrays");
  return static_cast<GgufKind>(kind);
}

void skip_items(Cursor& cursor, GgufKind kind, uint64_t count) {
  if (const size_t bytes = gguf_kind_bytes(kind)) {
    cursor.bytes(count * bytes);  // at most 2^33
    return;
  }
  for (uint64_t i = 0; i < count; ++i) cursor.string();
}

GgufValue read_value(Cursor& cursor) {
  GgufValue value{.kind = read_kind(cursor, false)};
  if (value.kind == GgufKind::kArray) {
    value.is_array = true;
    value.kind = read_kind(cursor, true);
    value.count = cursor.number<uint64_t>();
    require(value.count <= kMostItems, "expected an array of at most {} items, found {}",
            kMostItems, value.count);
  }
  const size_t begin = cursor.at();
  skip_items(cursor, value.kind, value.count);
  value.bytes = cursor.since(begin);
  return value;
}

void read_metadata(Cursor& cursor, uint64_t pairs, GgufMetadata& metadata) {
  for (uint64_t i = 0; i < pairs; ++i) {
    const std::string_view key =
        with_context(fmt::format("key {} of the metadata", i + 1), [&] { return cursor.string(); });
    require(!key.empty(), "key {} of the metadata: expected a name, found none", i + 1);
    with_context(fmt::format("metadata \"{}\"", printable(key)), [&] {
      const GgufValue value = read_value(cursor);
      require(metadata.add(key, value), "expected once, found twice");
    });
  }
}

size_t alignment_of(const GgufMetadata& metadata, size_t otherwise) {
  const GgufValue* value = metadata.find(kAlignmentKey);
  if (!value) return otherwise;
  const bool is_u32 = value->kind == GgufKind::kU32 && !value->is_array;
  const auto alignment = is_u32 ? static_cast<size_t>(*metadata.whole(kAlignmentKey)) : 0;
  require(std::has_single_bit(alignment), "{}: expected a power of two (u32), found {}",
          kAlignmentKey, is_u32 ? std::to_string(alignment) : "another kind of value");
  return alignment;
}

// Fastest first in the file.
std::vector<int64_t> read_shape(Cursor& cursor) {
  const auto dimensions = cursor.number<uint32_t>();
  require(dimensions <= kMostDimensions, "expected at most {} dimensions, found {}",
          kMostDimensions, dimensions);
  std::vector<int64_t> shape(dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.number<uint64_t>();
    require(size < uint64_t{1} << 63, "dimension {}: expected a size below 2^63, found {}", i,
            size);
    shape[dimensions - 1 - i] = static_cast<int64_t>(size);
  }
  return shape;
}

// Errors: a row that is no whole number of blocks; sizes whose product overflows, empty ones apart.
size_t bytes_of(const GgufTensor& tensor) {
  const GgufType& type = *tensor.type;
  const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  require(row % type.block_length == 0, "expected rows of a multiple of {} for {}, found {}",
          type.block_length, type.name, row);
  int64_t bytes = type.block_bytes;
  bool overflows =
      __builtin_mul_overflow(bytes, std::max<int64_t>(row / type.block_length, 1), &bytes);
  bool empty = row == 0;
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
    empty = empty || tensor.shape[i] == 0;
    overflows |= __builtin_mul_overflow(bytes, std::max<int64_t>(tensor.shape[i], 1), &bytes);
  }
  require(!overflows, "expected a size below 2^63 bytes, found {} of [{}]", type.name,
          fmt::join(tensor.shape, ", "));
  return empty ? 0 : static_cast<size_t>(bytes);
}

const GgufType* read_type(Cursor& cursor) {
  const auto id = cursor.number<uint32_t>();
  const GgufType* type = find_gguf_type(id);
  require(type != nullptr, "expected a type of tensor that this program knows, found number {}",
          id);
  return type;
}

size_t rounded_up(size_t bytes, size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// begin, end: of the data, whose place is known only behind the last of these.
GgufTensor read_tensor(Cursor& cursor, std::string_view name, size_t expected_offset) {
  GgufTensor tensor{.name = std::string(name), .shape = read_shape(cursor)};
  tensor.type = read_type(cursor);
  const size_t bytes = bytes_of(tensor);
  const auto offset = cursor.number<uint64_t>();
  require(offset == expected_offset, "expected to begin at byte {} of the data, found {}",
          expected_offset, offset);
  tensor.begin = offset;
  tensor.end = offset + bytes;
  return tensor;
}

void read_tensors(Cursor& cursor, uint64_t count, size_t file_bytes, GgufHeader& header) {
  std::set<std::string, std::less<>> names;
  size_t end = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view name =
        with_context(fmt::format("tensor {}", i + 1), [&] { return cursor.string(); });
    require(!name.empty() && name.size() <= kLongestName,
            "tensor {}: expected a name of 1 to {} bytes, found {}", i + 1, kLongestName,
            name.size());
    with_context(fmt::format("tensor \"{}\"", printable(name)), [&] {
      require(names.emplace(name).second, "expected once, found twice");
      header.tensors.push_back(read_tensor(cursor, name, end));
      const size_t tensor_end = header.tensors.back().end;
      require(tensor_end <= file_bytes,
              "expected {} bytes of data, found a file of {}; likely cut "
              "short",
              tensor_end, file_bytes);
      end = rounded_up(tensor_end, header.alignment);
    });
  }
}

}  // namespace

GgufHeader parse_gguf_header(std::string_view file) {
  GgufHeader header;
  Cursor cursor(file);
  header.version = read_version(cursor, file);
  const auto tensors = cursor.number<uint64_t>(), pairs = cursor.number<uint64_t>();
  require(tensors <= cursor.left() / kLeastInfo,
          "expected at most {} tensors in {} bytes, found {}", cursor.left() / kLeastInfo,
          file.size(), tensors);
  require(pairs <= cursor.left() / kLeastPair,
          "expected at most {} pairs of metadata in {} bytes, found {}", cursor.left() / kLeastPair,
          file.size(), pairs);
  read_metadata(cursor, pairs, header.metadata);
  header.alignment = alignment_of(header.metadata, header.alignment);
  read_tensors(cursor, tensors, file.size(), header);
  header.data_begin = rounded_up(cursor.at(), header.alignment);
  for (GgufTensor& tensor : header.tensors) {
    tensor.begin += header.data_begin;
    tensor.end += header.data_begin;
    require(tensor.end <= file.size(),
            "tensor \"{}\": expected data up to byte {}, found a file of {}; likely cut short",
            printable(tensor.name), tensor.end, file.size());
  }
  return header;
}

}  // namespace halftone
