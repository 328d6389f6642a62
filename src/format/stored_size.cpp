#include "format/stored_size.h"

#include <c10/core/ScalarType.h>

#include "format/gguf_blocks.h"
#include "format/stored_numbers.h"

namespace halftone {
namespace {

constexpr int64_t kWord = 4, kHalf = 2, kShapeBytes = 2 * 8;

constexpr int64_t rounded_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct Counts {
  int64_t out, in, bits, groups;
  bool zeros;

  // Of streams that each fill whole units of so many bytes.   count: codes in a stream
  int64_t streams(int64_t streams, int64_t count, int64_t unit) const {
    return streams * rounded_up(count * bits, 8 * unit) * unit;
  }
};

int64_t native_bytes(const Counts& is, const StoredGrid& grid) {
  const int64_t scale = grid.scale_bits <= significant_bits(at::kHalf) ? kHalf : kWord;
  return is.streams(is.out, is.in, 1) + is.out * is.groups * scale +
         (is.zeros ? is.streams(1, is.out * is.groups, 1) : 0) +
         (grid.group_index ? is.in * (is.groups > 256 ? kWord : 1) : 0);
}

int64_t compressed_bytes(const Counts& is, at::ScalarType dtype) {
  const auto scale = static_cast<int64_t>(c10::elementSize(dtype));
  return is.streams(is.out, is.in, kWord) + is.out * is.groups * scale +
         (is.zeros ? is.streams(is.groups, is.out, kWord) : 0) + kShapeBytes;
}

int64_t gptq_bytes(const Counts& is) {
  return is.streams(is.out, is.in, kWord) + is.streams(is.groups, is.out, kWord) +
         is.out * is.groups * kHalf + is.in * kWord;
}

int64_t awq_bytes(const Counts& is) {
  return is.streams(is.in, is.out, kWord) + is.streams(is.groups, is.out, kWord) +
         is.out * is.groups * kHalf;
}

int64_t mlx_bytes(const Counts& is, at::ScalarType dtype) {
  return is.streams(is.out, is.in, kWord) +
         2 * is.out * is.groups * static_cast<int64_t>(c10::elementSize(dtype));
}

std::optional<int64_t> gguf_bytes(const LinearPlan& linear) {
  const GgufType* type = gguf_type_of(linear);
  if (type == nullptr) return std::nullopt;
  return linear.out * linear.in / type->block_length * type->block_bytes +
         (has_tensor_scale(*type) ? kWord : 0);
}

}  // namespace

std::optional<int64_t> stored_linear_bytes(std::string_view format, at::ScalarType dtype,
                                           const LinearPlan& linear) {
  const StoredGrid& grid = linear.grid;
  if (format == "dense")
    return linear.out * linear.in * static_cast<int64_t>(c10::elementSize(dtype));
  if (format == "gguf") return gguf_bytes(linear);
  if (grid.kind != GridKind::kUniform || grid.outliers) return std::nullopt;
  const Counts is{linear.out, linear.in, grid.bits,
                  group_count(linear.in, grid.columns_per_group(linear.in)), !grid.symmetric};
  if (format == "compressed-tensors") return compressed_bytes(is, dtype);
  if (format == "gptq" || format == "gptq_v2") return gptq_bytes(is);
  if (format == "awq") return awq_bytes(is);
  if (format == "mlx") return mlx_bytes(is, dtype);
  return format == "native" ? std::optional(native_bytes(is, grid)) : std::nullopt;
}

}  // namespace halftone
