#include "format/packed_folder.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace halftone {
namespace {

constexpr std::string_view kWeight = ".weight";

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : std::string_view{};
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

void check_dtype(const StoredTensor& tensor, std::initializer_list<std::string_view> dtypes) {
  require(std::find(dtypes.begin(), dtypes.end(), tensor.dtype) != dtypes.end(),
          "{}: expected type {}, found {}", printable(tensor.name), fmt::join(dtypes, " or "),
          tensor.dtype);
}

}  // namespace

PackedFolder::PackedFolder(std::shared_ptr<const Checkpoint> checkpoint,
                           std::vector<std::string> parts)
    : checkpoint_(std::move(checkpoint)), parts_(std::move(parts)) {
  const std::string folder = checkpoint_->folder().string();
  std::set<std::string> linears, others;
  for (const std::string& name : checkpoint_->names()) {
    if (const auto first = without_suffix(name, parts_.front()); !first.empty())
      linears.emplace(first);
    else if (const auto linear = linear_of_part(name))
      others.insert(*linear);
  }
  require(!linears.empty(), "{}: the config says quantized, but there is no tensor NAME{}", folder,
          parts_.front());
  for (const std::string& name : others)
    require(linears.contains(name), "{}: {}: '{}' is missing", folder, printable(name),
            parts_.front());
  for (const std::string& name : linears)
    require(!checkpoint_->contains(name + ".weight"), "{}: {}: both packed and plain", folder,
            printable(name));
  linears_.assign(linears.begin(), linears.end());
}

std::optional<std::string> PackedFolder::linear_of_part(std::string_view tensor) const {
  for (const std::string& part : parts_)
    if (const auto linear = without_suffix(tensor, part); !linear.empty())
      return std::string(linear);
  return std::nullopt;
}

bool PackedFolder::is_linear(std::string_view name) const {
  return std::binary_search(linears_.begin(), linears_.end(), name);
}

std::string PackedFolder::place(std::string_view linear) const {
  return fmt::format("{}: {}", checkpoint_->folder().string(), printable(linear));
}

std::vector<std::string> PackedFolder::names() const {
  std::vector<std::string> names;
  for (const std::string& name : checkpoint_->names())
    if (!linear_of_part(name)) names.push_back(name);
  for (const std::string& linear : linears_) names.push_back(linear + std::string(kWeight));
  std::sort(names.begin(), names.end());
  return names;
}

WeightInfo PackedFolder::info(std::string_view name) const {
  const auto linear = shapes_.find(without_suffix(name, kWeight));
  return linear == shapes_.end() ? checkpoint_->info(name) : WeightInfo{linear->second, at::kFloat};
}

bool PackedFolder::contains(std::string_view name) const {
  if (is_linear(without_suffix(name, kWeight))) return true;
  return !linear_of_part(name) && checkpoint_->contains(name);
}

at::Tensor PackedFolder::load(std::string_view name) const {
  const auto linear = without_suffix(name, kWeight);
  if (is_linear(linear)) return dequantize(read_linear(std::string(linear)));
  return checkpoint_->load(name);
}

at::Tensor PackedFolder::load_rows(std::string_view name, const at::Tensor& index) const {
  const std::string linear(without_suffix(name, kWeight));
  if (!is_linear(linear)) return checkpoint_->load_rows(name, index);
  const auto rows = with_context(place(linear), [&] { return unpack_rows_of(linear, index); });
  return rows ? dequantize(*rows) : load(name).index_select(0, index);
}

void PackedFolder::release(std::string_view name) const {
  const auto linear = without_suffix(name, kWeight);
  if (!is_linear(linear)) return checkpoint_->release(name);
  for (const std::string& part : parts_)
    if (has_part(std::string(linear), part)) checkpoint_->release(std::string(linear) + part);
}

QuantizedLinear PackedFolder::read_linear(const std::string& name) const {
  require(is_linear(name), "{}: not a quantized linear of this model", place(name));
  return with_context(place(name), [&] { return unpack(name); });
}

size_t PackedFolder::linear_bytes(const std::string& name) const {
  require(is_linear(name), "{}: not a quantized linear of this model", place(name));
  size_t bytes = 0;
  for (const std::string& part : parts_) {
    if (!has_part(name, part)) continue;
    const StoredTensor& stored = checkpoint_->stored(name + part);
    bytes += stored.end - stored.begin;
  }
  return bytes;
}

bool PackedFolder::has_part(const std::string& linear, std::string_view part) const {
  return checkpoint_->contains(linear + std::string(part));
}

PackedFolder::Matrix PackedFolder::matrix_part(
    const std::string& linear, std::string_view part,
    std::initializer_list<std::string_view> dtypes) const {
  require(has_part(linear, part), "'{}' is missing", part);
  const StoredTensor& stored = checkpoint_->stored(linear + std::string(part));
  check_dtype(stored, dtypes);
  require(stored.shape.size() == 2 && stored.shape[0] > 0 && stored.shape[1] > 0,
          "'{}': expected a matrix, found shape {}", part, shape_text(stored.shape));
  return {stored.shape[0], stored.shape[1]};
}

int64_t PackedFolder::list_part(const std::string& linear, std::string_view part,
                                std::initializer_list<std::string_view> dtypes) const {
  require(has_part(linear, part), "'{}' is missing", part);
  const StoredTensor& stored = checkpoint_->stored(linear + std::string(part));
  check_dtype(stored, dtypes);
  require(stored.shape.size() == 1, "'{}': expected a list, found shape {}", part,
          shape_text(stored.shape));
  return stored.shape[0];
}

at::Tensor PackedFolder::load_part(const std::string& linear, std::string_view part,
                                   std::initializer_list<std::string_view> dtypes,
                                   const std::vector<int64_t>& shape) const {
  check_part(linear, part, dtypes, shape);
  return checkpoint_->load(linear + std::string(part));
}

void PackedFolder::check_part(const std::string& linear, std::string_view part,
                              std::initializer_list<std::string_view> dtypes,
                              const std::vector<int64_t>& shape) const {
  require(has_part(linear, part), "'{}' is missing", part);
  const StoredTensor& stored = checkpoint_->stored(linear + std::string(part));
  check_dtype(stored, dtypes);
  require(stored.shape == shape, "'{}': expected shape {}, found {}", part, shape_text(shape),
          shape_text(stored.shape));
}

at::Tensor PackedFolder::load_scales(const std::string& linear, std::string_view part,
                                     const std::vector<int64_t>& shape) const {
  at::Tensor scales = load_part(linear, part, {"F16", "BF16", "F32"}, shape).to(at::kFloat);
  require(scales.isfinite().all().item<bool>(), "'{}': a scale is not finite", part);
  return scales;
}

void PackedFolder::check_linears() {
  for (const std::string& name : linears_)
    shapes_[name] = with_context(place(name), [&] { return checked_shape(name); });
}

at::Tensor simplified_group_index(const at::Tensor& index, int64_t group_size, int64_t groups) {
  const auto [least, most] = index.aminmax();
  require(least.item<int64_t>() >= 0 && most.item<int64_t>() < groups,
          "group index: expected 0 .. {}, found {} .. {}", groups - 1, least.item<int64_t>(),
          most.item<int64_t>());
  const at::Tensor plain = at::arange(index.numel(), at::kInt).floor_divide(group_size);
  return at::equal(index, plain) ? at::Tensor{} : index.clone();
}

}  // namespace halftone
