#include "checkpoint/gguf_writer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/gguf_metadata.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

constexpr uint32_t kVersion = 3;
constexpr size_t kAlignment = 32, kLongestName = 63, kMostDimensions = 4, kMostParts = 99999;

template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string raw(GgufKind kind) {
  return raw(static_cast<uint32_t>(kind));
}

std::string raw(std::string_view text) {
  return raw<uint64_t>(text.size()).append(text);
}

std::string head_of_array(GgufKind kind, size_t count) {
  return raw(GgufKind::kArray) + raw(kind) + raw<uint64_t>(count);
}

template <class T>
std::string array_of(GgufKind kind, std::span<const T> values) {
  std::string bytes = head_of_array(kind, values.size());
  return bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

size_t padded(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void check(const GgufPlan& plan) {
  std::set<std::string_view> names, keys;
  for (const auto& [key, value] : plan.metadata)
    require(!key.empty() && keys.insert(key).second, "metadata \"{}\": expected once",
            printable(key));
  for (const GgufPlan::Tensor& tensor : plan.tensors) {
    const auto place = [&] { return fmt::format("tensor \"{}\"", printable(tensor.name)); };
    require(!tensor.name.empty() && tensor.name.size() <= kLongestName,
            "{}: expected a name of 1 to {} bytes", place(), kLongestName);
    require(names.insert(tensor.name).second, "{}: expected once, found twice", place());
    require(tensor.shape.size() <= kMostDimensions, "{}: expected at most {} dimensions, found {}",
            place(), kMostDimensions, tensor.shape.size());
    const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    require(row % tensor.type->block_length == 0,
            "{}: expected rows of a multiple of {} for {}, found {}", place(),
            tensor.type->block_length, tensor.type->name, row);
  }
}

// Infos of the tensors [begin, end) of a plan, as they follow the metadata.
std::string infos(const GgufPlan& plan, size_t begin, size_t end) {
  std::string bytes;
  size_t offset = 0;
  for (size_t i = begin; i < end; ++i) {
    const GgufPlan::Tensor& tensor = plan.tensors[i];
    bytes += raw(std::string_view(tensor.name)) + raw(static_cast<uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      bytes += raw(static_cast<uint64_t>(*size));
    bytes += raw(tensor.type->id) + raw<uint64_t>(offset);
    offset += padded(tensor.bytes());
  }
  return bytes;
}

}  // namespace

std::string gguf_value(uint8_t value) {
  return raw(GgufKind::kU8) + raw(value);
}
std::string gguf_value(int8_t value) {
  return raw(GgufKind::kI8) + raw(value);
}
std::string gguf_value(uint16_t value) {
  return raw(GgufKind::kU16) + raw(value);
}
std::string gguf_value(int16_t value) {
  return raw(GgufKind::kI16) + raw(value);
}
std::string gguf_value(uint32_t value) {
  return raw(GgufKind::kU32) + raw(value);
}
std::string gguf_value(int32_t value) {
  return raw(GgufKind::kI32) + raw(value);
}
std::string gguf_value(uint64_t value) {
  return raw(GgufKind::kU64) + raw(value);
}
std::string gguf_value(int64_t value) {
  return raw(GgufKind::kI64) + raw(value);
}
std::string gguf_value(float value) {
  return raw(GgufKind::kF32) + raw(value);
}
std::string gguf_value(double value) {
  return raw(GgufKind::kF64) + raw(value);
}
std::string gguf_value(bool value) {
  return raw(GgufKind::kBool) + raw(static_cast<uint8_t>(value));
}
std::string gguf_value(std::string_view value) {
  return raw(GgufKind::kString) + raw(value);
}
std::string gguf_value(const char* value) {
  return gguf_value(std::string_view(value));
}
std::string gguf_value(std::span<const std::string> values) {
  std::string bytes = head_of_array(GgufKind::kString, values.size());
  for (const std::string& value : values) bytes += raw(std::string_view(value));
  return bytes;
}
std::string gguf_value(std::span<const float> values) {
  return array_of(GgufKind::kF32, values);
}
std::string gguf_value(std::span<const int32_t> values) {
  return array_of(GgufKind::kI32, values);
}
std::string gguf_value(std::span<const uint32_t> values) {
  return array_of(GgufKind::kU32, values);
}

size_t GgufPlan::Tensor::bytes() const {
  int64_t bytes = type->block_bytes * ((shape.empty() ? 1 : shape.back()) / type->block_length);
  for (size_t i = 0; i + 1 < shape.size(); ++i) bytes *= shape[i];
  return static_cast<size_t>(bytes);
}

std::vector<size_t> GgufPlan::parts() const {
  std::vector<size_t> begins{0};
  size_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t more = padded(tensors[i].bytes());
    if (bytes > 0 && more > part_bytes - std::min(bytes, part_bytes)) {
      begins.push_back(i);
      bytes = 0;
    }
    bytes += more;
  }
  return begins;
}

fs::path gguf_part_path(const fs::path& path, size_t number, size_t count) {
  if (count == 1) return path;
  return path.parent_path() /
         fmt::format("{}-{:05}-of-{:05}.gguf", path.stem().string(), number + 1, count);
}

GgufWriter::GgufWriter(fs::path path, GgufPlan plan)
    : path_(std::move(path)), plan_(std::move(plan)), parts_(plan_.parts()) {
  with_context(shown(path_), [&] {
    check(plan_);
    require(parts_.size() <= kMostParts, "expected at most {} parts, found {}", kMostParts,
            parts_.size());
  });
  open_part();
}

GgufWriter::~GgufWriter() {
  if (finished_) return;
  file_.reset();
  std::error_code ignored;
  for (const fs::path& file : files_) fs::remove(file, ignored);
}

// The next one, with its header.
void GgufWriter::open_part() {
  const size_t number = files_.size(), count = parts_.size(), begin = parts_[number];
  const size_t end = number + 1 < count ? parts_[number + 1] : plan_.tensors.size();
  auto metadata = number == 0 ? plan_.metadata : plan_.metadata_of_parts;
  if (count > 1) {
    metadata.emplace_back("split.no", gguf_value(static_cast<uint16_t>(number)));
    metadata.emplace_back("split.count", gguf_value(static_cast<uint16_t>(count)));
    metadata.emplace_back("split.tensors.count",
                          gguf_value(static_cast<int32_t>(plan_.tensors.size())));
  }
  std::string header =
      "GGUF" + raw(kVersion) + raw<uint64_t>(end - begin) + raw<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    header += raw(std::string_view(key));
    if (number == 0) places_[key] = header.size();
    header += value;
  }
  header += infos(plan_, begin, end);
  header.resize(padded(header.size()));
  if (file_) file_->close();
  const fs::path path = gguf_part_path(path_, number, count);
  file_ = std::make_unique<OutputFile>(path);
  files_.push_back(path);
  file_->write(header);
}

// Behind a whole tensor: its padding, and the next part if it was the last of this one.
void GgufWriter::pad() {
  const std::string zeros(padded(written_) - written_, '\0');
  file_->write(zeros);
  tensor_ += 1;
  written_ = 0;
  if (files_.size() < parts_.size() && parts_[files_.size()] == tensor_) open_part();
}

void GgufWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  // tensors without numbers are not written
  while (tensor_ < plan_.tensors.size() && plan_.tensors[tensor_].bytes() == 0) pad();
  if (bytes.empty()) return;
  const bool known = tensor_ < plan_.tensors.size();
  require(known && plan_.tensors[tensor_].name == name, "{}: expected tensor \"{}\", found \"{}\"",
          shown(path_), known ? printable(plan_.tensors[tensor_].name) : "none", printable(name));
  const size_t left = plan_.tensors[tensor_].bytes() - written_;
  require(bytes.size() <= left, "{}: tensor \"{}\": expected {} bytes more, found {}", shown(path_),
          printable(name), left, bytes.size());
  file_->write(bytes);
  written_ += bytes.size();
  if (bytes.size() == left) pad();
}

void GgufWriter::put_in_place(const std::string& key, const std::string& value) {
  const auto planned = std::find_if(plan_.metadata.begin(), plan_.metadata.end(),
                                    [&](const auto& entry) { return entry.first == key; });
  require(planned != plan_.metadata.end() && planned->second.size() == value.size(),
          "metadata \"{}\": expected a planned key and a value as long as the planned one",
          printable(key));
  write_inside(files_.front(), places_.at(key), value);
}

void GgufWriter::finish(const std::vector<std::pair<std::string, std::string>>& known) {
  write("", {});
  if (tensor_ < plan_.tensors.size())  // the arguments of `require` would be read in any case
    fail("{}: tensor \"{}\": expected {} bytes, found {}", shown(path_),
         printable(plan_.tensors[tensor_].name), plan_.tensors[tensor_].bytes(), written_);
  file_->close();
  for (const auto& [key, value] : known) put_in_place(key, value);
  finished_ = true;
}

}  // namespace halftone
