// Kind "binary": signs, of which salient columns have two (methods.md 4.4). bits is 2, symmetric
// and group_index are false. A code is first * 2 + second in a salient column, tail * 2 + sign in
// another one; a sign is 1 for +, tail 1 for weights beyond the break point.
//
//   NAME.salient   U8 [ceil(in/8)]               one bit a column, as a stream; 1: salient
//   NAME.means     F16 or F32 [out, groups, 4]   of bulk, tail, first and second sign: F16 where
//   NAME.scales    F16 or F32 [out, groups, 4]   that holds every number exactly; scales >= 0
//
// With m, s of row o and group g(i) = i / group_size and a sign of +1 or -1 for 1 or 0
//   w[o, i] = m[tail] + sign * s[tail]                                       column not salient
//   w[o, i] = (m[2] + first * s[2]) + (m[3] + second * s[3])                 salient column
// in float32, in the order of the brackets; and 0 in dead columns.
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/bit_stream.h"
#include "format/native_kinds.h"
#include "format/packed_rows.h"

namespace halftone {
namespace {

void describe(const StoredGrid& /*grid*/, nlohmann::json& /*description*/) {}

at::Tensor packed_numbers(const at::Tensor& numbers) {
  return exact_scales(numbers, scales_fit(numbers, at::kHalf) ? at::kHalf : at::kFloat);
}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  store(".salient", pack_bytes(linear.binary->salient, 1));
  store(".means", packed_numbers(linear.binary->means));
  store(".scales", packed_numbers(linear.binary->scales));
}

std::vector<int64_t> numbers_shape(const NativeLinear& described) {
  return {described.out, described.groups(), 4};
}

void check(const NativeLinear& described, const NativeParts& parts) {
  require(described.bits == 2 && !described.symmetric && !described.group_index,
          "{}: a binary grid has bits 2, symmetric false and group_index false", described.place);
  parts.check(".salient", {"U8"}, {stream_bytes(described.in, 1)});
  parts.check(".means", {"F16", "F32"}, numbers_shape(described));
  parts.check(".scales", {"F16", "F32"}, numbers_shape(described));
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  const at::Tensor salient = parts.load(".salient", {"U8"}, {stream_bytes(described.in, 1)});
  linear.binary = {
      .salient = unpack_byte_rows(salient.unsqueeze(0), described.in, 1).squeeze(0),
      .means = parts.load_numbers(".means", {"F16", "F32"}, numbers_shape(described)),
      .scales = parts.load_numbers(".scales", {"F16", "F32"}, numbers_shape(described))};
  require(linear.binary->scales.ge(0).all().item<bool>(), "'.scales': a scale is below 0");
}

}  // namespace

NativeKind native_binary_kind() {
  return {.grid = GridKind::kBinary,
          .name = "binary",
          .keys = {},
          .parts = {".salient", ".means", ".scales"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
