// Kind "uniform": a scale and an integer zero for each row and group.
//
//   NAME.scales   F16, BF16 or F32 [out, groups]   the first of these that holds every scale
//   exactly NAME.zeros    U8 [ceil(out*groups*bits/8)]     one stream, row by row; asymmetric only,
//   else
//                                                  2^(bits-1)
// w[o, i] = scales[o, g(i)] * (codes[o, i] - zeros[o, g(i)]), one float32 multiplication.
#include <ATen/ATen.h>

#include "format/native_kinds.h"

namespace halftone {
namespace {

void describe(const StoredGrid& /*grid*/, nlohmann::json& /*description*/) {}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  pack_scales(".scales", linear.scales, store);
  pack_integer_zeros(linear, store);
}

void check(const NativeLinear& described, const NativeParts& parts) {
  parts.check(".scales", {"F16", "BF16", "F32"}, {described.out, described.groups()});
  check_integer_zeros(described, parts);
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  linear.scales =
      parts.load_numbers(".scales", {"F16", "BF16", "F32"}, {described.out, described.groups()});
  linear.zeros = read_integer_zeros(described, parts);
}

}  // namespace

NativeKind native_uniform_kind() {
  return {.grid = GridKind::kUniform,
          .name = "uniform",
          .keys = {},
          .parts = {".scales", ".zeros"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
