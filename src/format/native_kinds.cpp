#include "format/native_kinds.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "format/bit_stream.h"
#include "format/packed_rows.h"

namespace halftone {
namespace {

std::vector<int64_t> stream_shape(const NativeLinear& described, int bits) {
  return {stream_bytes(described.out * described.groups(), bits)};
}

}  // namespace

const std::vector<NativeKind>& native_kinds() {
  static const std::vector<NativeKind> kinds = {
      native_uniform_kind(),     native_bilevel_kind(), native_split_kind(),  native_binary_kind(),
      native_super_block_kind(), native_vector_kind(),  native_trellis_kind()};
  return kinds;
}

void pack_scales(std::string_view part, const at::Tensor& scales, const StoreNativePart& store) {
  at::ScalarType type = at::kFloat;
  for (const at::ScalarType smaller : {at::kBFloat16, at::kHalf})
    if (scales_fit(scales, smaller)) type = smaller;
  store(part, exact_scales(scales, type));
}

void check_group_codes(const NativeLinear& described, const NativeParts& parts,
                       std::string_view part, int bits) {
  parts.check(part, {"U8"}, stream_shape(described, bits));
}

at::Tensor read_group_codes(const NativeLinear& described, const NativeParts& parts,
                            std::string_view part, int bits) {
  const at::Tensor stream = parts.load(part, {"U8"}, stream_shape(described, bits));
  return unpack_byte_rows(stream.unsqueeze(0), described.out * described.groups(), bits)
      .reshape({described.out, described.groups()});
}

void pack_integer_zeros(const QuantizedLinear& linear, const StoreNativePart& store) {
  if (!linear.symmetric) store(".zeros", pack_bytes(linear.zeros, linear.bits));
}

void check_integer_zeros(const NativeLinear& described, const NativeParts& parts) {
  if (!described.symmetric) return check_group_codes(described, parts, ".zeros", described.bits);
  require(!parts.has(".zeros"), "'.zeros': symmetric, yet there are zeros");
}

at::Tensor read_integer_zeros(const NativeLinear& described, const NativeParts& parts) {
  if (described.symmetric)
    return at::full({described.out, described.groups()}, 1 << (described.bits - 1), at::kByte);
  return read_group_codes(described, parts, ".zeros", described.bits);
}

}  // namespace halftone
