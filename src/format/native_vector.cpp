// Kind "vector": eight weights at a time are a point of a codebook of GGUF's, or two of four
// (methods.md 4.7). bits is 4, symmetric true, group_index false, in a multiple of 256; "codebook"
// is "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs" or "iq3_s", which says what group_size is (32, 16, 16,
// 32, 32). A code is a magnitude of the codebook, ascending, and 8 more for a minus sign.
//
//   NAME.scale_codes    U8 [ceil(out*groups*4/8)]   one stream, row by row
//   NAME.block_scales   F16 [out, in / 256]         not negative
//
// In float32, with u = 1/8 for iq2_*, 1/4 for iq3_xxs and 1 for iq3_s
//   w[o, i] = +-(block_scales[o, k(i)] * u * (2 scale_codes[o, g(i)] + 1) * magnitude)
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/native_kinds.h"
#include "format/packed_rows.h"
#include "quantize/grid/vector.h"

namespace halftone {
namespace {

constexpr int kScaleBits = 4;

Codebook codebook_of(const NativeLinear& described) {
  const std::string name = described.fields().text("codebook");
  for (const Codebook codebook : kCodebooks)
    if (codebook_shape(codebook).word == name) return codebook;
  fail("{}: codebook: expected iq2_xxs, iq2_xs, iq2_s, iq3_xxs or iq3_s, found {}", described.place,
       printable(name));
}

std::vector<int64_t> blocks_shape(const NativeLinear& described) {
  return {described.out, described.in / kSuperBlock};
}

void describe(const StoredGrid& grid, nlohmann::json& description) {
  description["codebook"] = codebook_shape(grid.codebook).word;
}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  store(".scale_codes", pack_bytes(linear.vectors->scale_codes, kScaleBits));
  store(".block_scales", linear.vectors->steps.to(at::kHalf));
}

void check(const NativeLinear& described, const NativeParts& parts) {
  const CodebookShape shape = codebook_shape(codebook_of(described));
  require(described.bits == kVectorCodeBits && described.group_size == shape.group_size &&
              described.symmetric && !described.group_index && described.in % kSuperBlock == 0,
          "{}: {} bits, groups of {}, {}symmetric, {} columns: no vectors of {}", described.place,
          described.bits, described.group_size, described.symmetric ? "" : "a", described.in,
          shape.type);
  check_group_codes(described, parts, ".scale_codes", kScaleBits);
  parts.check(".block_scales", {"F16"}, blocks_shape(described));
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  linear.vectors = {.codebook = codebook_of(described),
                    .scale_codes = read_group_codes(described, parts, ".scale_codes", kScaleBits),
                    .steps = parts.load_numbers(".block_scales", {"F16"}, blocks_shape(described))};
  linear.scales = group_scales(*linear.vectors);
  require(linear.vectors->steps.ge(0).all().item<bool>(), "'.block_scales': one is below 0");
  check_points(linear);
}

}  // namespace

NativeKind native_vector_kind() {
  return {.grid = GridKind::kVector,
          .name = "vector",
          .keys = {"codebook"},
          .parts = {".scale_codes", ".block_scales"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
