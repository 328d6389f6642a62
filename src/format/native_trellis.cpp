// Kind "trellis": tiles of 16 rows and 16 columns of a rotated linear are circles of bits
// (methods.md 4.8, 8.5). bits is 1 .. 4, symmetric true, group_index false, group_size in; out and
// in are multiples of 16. "code" is "3inst", "1mad" or "mcg", "state_bits" 8 .. 16; "input_block"
// and "output_block" are the orders of the Hadamard matrices along the two sides.
//
//   NAME.scales         F16 [out, 1]
//   NAME.input_signs    U8 [ceil(in/8)]    one bit a column, 1: minus
//   NAME.output_signs   U8 [ceil(out/8)]   one bit a row
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/bit_stream.h"
#include "format/native_kinds.h"
#include "format/packed_rows.h"
#include "kernels/trellis_kernels.h"
#include "quantize/linear_rotation.h"

namespace halftone {
namespace {

TrellisCode code_of(const NativeLinear& described) {
  const std::string name = described.fields().text("code");
  for (const TrellisCode code : kTrellisCodes)
    if (word_of(code) == name) return code;
  fail("{}: code: expected 3inst, 1mad or mcg, found {}", described.place, printable(name));
}

int state_bits_of(const NativeLinear& described) {
  return static_cast<int>(
      described.fields().integer("state_bits", kLeastStateBits, kMostStateBits));
}

int64_t block_of(const NativeLinear& described, const char* key, int64_t width) {
  return described.fields().integer(key, 1, width);
}

void describe(const StoredGrid& grid, nlohmann::json& description) {
  const auto block = [&](int64_t given, int side) {
    return given > 0 ? given : rotation_block(description.at("shape").at(side).get<int64_t>());
  };
  description["code"] = word_of(grid.code);
  description["state_bits"] = grid.state_bits;
  description["input_block"] = block(grid.input_block, 1);
  description["output_block"] = block(grid.output_block, 0);
}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  const LinearRotation& rotation = *linear.trellis->rotation;
  store(".scales", linear.scales.to(at::kHalf));
  store(".input_signs", pack_bytes(rotation.input_signs, 1));
  store(".output_signs", pack_bytes(rotation.output_signs, 1));
}

void check(const NativeLinear& described, const NativeParts& parts) {
  require(described.bits <= kMostTrellisBits && described.group_size == described.in &&
              described.symmetric && !described.group_index && described.in % kTrellisSide == 0 &&
              described.out % kTrellisSide == 0,
          "{}: {} bits, groups of {}, {}symmetric, {} by {}: no trellis tiles", described.place,
          described.bits, described.group_size, described.symmetric ? "" : "a", described.out,
          described.in);
  code_of(described);
  state_bits_of(described);
  block_of(described, "input_block", described.in);
  block_of(described, "output_block", described.out);
  parts.check(".scales", {"F16"}, {described.out, 1});
  parts.check(".input_signs", {"U8"}, {stream_bytes(described.in, 1)});
  parts.check(".output_signs", {"U8"}, {stream_bytes(described.out, 1)});
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  const auto signs = [&](std::string_view part, int64_t width) {
    const at::Tensor stream = parts.load(part, {"U8"}, {stream_bytes(width, 1)});
    return unpack_byte_rows(stream.unsqueeze(0), width, 1).flatten();
  };
  linear.scales = parts.load_numbers(".scales", {"F16"}, {described.out, 1});
  linear.trellis = {.code = code_of(described),
                    .state_bits = state_bits_of(described),
                    .rotation = LinearRotation{
                        .input_signs = signs(".input_signs", described.in),
                        .output_signs = signs(".output_signs", described.out),
                        .input_block = block_of(described, "input_block", described.in),
                        .output_block = block_of(described, "output_block", described.out)}};
  check_rotation(*linear.trellis->rotation, described.out, described.in);
}

}  // namespace

NativeKind native_trellis_kind() {
  return {.grid = GridKind::kTrellis,
          .name = "trellis",
          .keys = {"code", "state_bits", "input_block", "output_block"},
          .parts = {".scales", ".input_signs", ".output_signs"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
