#include "checkpoint/gguf_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "checkpoint/dtype.h"

namespace halftone {
namespace {

constexpr int64_t kWeightsAtOnce = 1 << 15;  // of a thread

int64_t rows_of(const GgufTensor& tensor) {
  return tensor.shape.empty() ? 1 : tensor.shape.front();
}

// Of one row of the first dimension.
int64_t width_of(const GgufTensor& tensor) {
  int64_t width = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) width *= tensor.shape[i];
  return width;
}

// Where the folder's row lies: of a head of d rows, row b d/2 + i is stored as row 2 i + b.
int64_t stored_row(const GgufWeight& weight, int64_t row) {
  if (weight.head_dim == 0) return row;
  const int64_t half = weight.head_dim / 2, in_head = row % weight.head_dim;
  return row - in_head + 2 * (in_head % half) + in_head / half;
}

std::vector<int64_t> stored_rows(const GgufWeight& weight, std::span<const int64_t> rows) {
  const int64_t count = rows_of(*weight.tensor);
  std::vector<int64_t> stored;
  stored.reserve(rows.size());
  for (const int64_t row : rows) {
    require(row >= 0 && row < count, "expected rows 0 .. {}, found {}", count - 1, row);
    stored.push_back(stored_row(weight, row));
  }
  return stored;
}

std::vector<int64_t> all_rows(const GgufTensor& tensor) {
  std::vector<int64_t> rows(static_cast<size_t>(rows_of(tensor)));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

// Numbers as they lie in the file; a copy where they are not aligned.
at::Tensor view_of(const GgufWeight& weight) {
  const auto data = weight.file->bytes(*weight.tensor);
  const at::ScalarType scalar = read_type(*weight.tensor->type);
  const at::TensorOptions options(scalar);
  if (reinterpret_cast<uintptr_t>(data.data()) % c10::elementSize(scalar) != 0) {
    at::Tensor copy = at::empty(weight.tensor->shape, options);
    std::memcpy(copy.mutable_data_ptr(), data.data(), data.size());
    return copy;
  }
  auto* begin = const_cast<std::byte*>(data.data());
  return at::from_blob(
      begin, weight.tensor->shape, [owner = weight.file->file().owner()](void*) {}, options);
}

bool all_finite(const float* values, int64_t count) {
  constexpr uint32_t kExponent = 0x7f800000;
  bool beyond = false;
  for (int64_t i = 0; i < count; ++i)
    beyond |= (std::bit_cast<uint32_t>(values[i]) & kExponent) == kExponent;
  return !beyond;
}

// rows: where they are stored.   to: (rows, width)
void decode(const GgufWeight& weight, const std::vector<int64_t>& rows, float* to) {
  const GgufType& type = *weight.tensor->type;
  const int64_t width = width_of(*weight.tensor), blocks = width / type.block_length;
  const auto* data = reinterpret_cast<const uint8_t*>(weight.file->bytes(*weight.tensor).data());
  std::atomic<int64_t> broken{-1};
  const int64_t grain = std::max<int64_t>(1, kWeightsAtOnce / std::max<int64_t>(width, 1));
  at::parallel_for(0, static_cast<int64_t>(rows.size()), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = rows[static_cast<size_t>(i)];
      type.decode(blocks, data + row * blocks * type.block_bytes, to + i * width);
      if (!all_finite(to + i * width, width)) broken = row;
    }
  });
  require(broken < 0, "row {}: expected finite scales, found others; likely a damaged file",
          broken.load());
}

at::Tensor decoded(const GgufWeight& weight, const std::vector<int64_t>& rows,
                   std::vector<int64_t> shape) {
  at::Tensor weights = at::empty(shape, at::kFloat);
  decode(weight, rows, weights.mutable_data_ptr<float>());
  return weights;
}

at::Tensor scaled(const GgufWeight& weight, at::Tensor weights) {
  return weight.scale == 1 ? weights : weights * weight.scale;
}

at::Tensor chosen_rows(const at::Tensor& weights, const std::vector<int64_t>& rows) {
  return weights.index_select(0, at::tensor(rows, at::kLong));
}

}  // namespace

int64_t folder_row(int64_t head_dim, int64_t row) {
  if (head_dim == 0) return row;
  const int64_t in_head = row % head_dim;
  return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
}

at::ScalarType read_type(const GgufType& type) {
  return type.is_block() ? at::kFloat : *find_dtype(type.name)->scalar;
}

at::Tensor load_gguf(const GgufWeight& weight) {
  weight.file->file().require_unchanged();
  const GgufTensor& tensor = *weight.tensor;
  if (!tensor.type->is_block()) {
    const at::Tensor numbers = view_of(weight);
    if (weight.head_dim == 0) return scaled(weight, numbers);
    return scaled(weight, chosen_rows(numbers, stored_rows(weight, all_rows(tensor))));
  }
  if (tensor.shape.size() >= 2)
    return scaled(weight, decoded(weight, stored_rows(weight, all_rows(tensor)), tensor.shape));
  // a list of blocks is one row
  const GgufTensor row{
      tensor.name, {1, tensor.shape.front()}, tensor.type, tensor.begin, tensor.end};
  const GgufWeight as_row{weight.file, &row};
  require(weight.head_dim == 0,
          "expected numbers, found a list in blocks whose rows have an order");
  return scaled(weight, decoded(as_row, {0}, tensor.shape));
}

at::Tensor load_gguf_rows(const GgufWeight& weight, std::span<const int64_t> rows) {
  weight.file->file().require_unchanged();
  const std::vector<int64_t> stored = stored_rows(weight, rows);
  std::vector<int64_t> shape = weight.tensor->shape;
  if (!weight.tensor->type->is_block()) return scaled(weight, chosen_rows(view_of(weight), stored));
  require(shape.size() >= 2, "expected a matrix, found a list in blocks");
  shape.front() = static_cast<int64_t>(rows.size());
  return scaled(weight, decoded(weight, stored, std::move(shape)));
}

}  // namespace halftone
